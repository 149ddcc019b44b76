// Plugins that answer badly, and names that lead elsewhere.
#include <chrono>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "base/core/error.h"
#include "catch2/catch_all.hpp"
#include "libcni/invoke/client.h"
#include "libcni/invoke/test_bench.h"

namespace coaming::cni {
namespace {

constexpr char kList[] = R"({"cniVersion":"1.0.0","name":"net","plugins":[
  {"type":"one"},{"type":"bad"}]})";

Runtime MakeRuntime() {
  Runtime runtime;
  runtime.container_id = "c1";
  runtime.netns = "/ns";
  return runtime;
}

// One good plugin and a bad one whose ADD is `body`.
struct Case {
  explicit Case(std::string_view body) {
    bench.Adder("one", R"({"cniVersion":"1.0.0"})");
    bench.Plugin("bad", absl::StrCat("[ $CNI_COMMAND = ADD ] || exit 0\n", body));
  }
  absl::Status Add(const base::Op& op = base::Op()) {
    return Client(bench.Options()).AddNetworkList(op, MustList(kList), MakeRuntime()).status();
  }
  Bench bench;
};

TEST_CASE("hostile: output that is no result fails the ADD and is rolled back",
          "[libcni][invoke]") {
  for (const char* out : {"", "nonsense", "{", "[]", "\"x\"", "{}{}", R"({"ips":[{}]})",
                          R"({"cniVersion":"1.0.0","interfaces":7})"}) {
    INFO(out);
    Case c(absl::StrCat("printf '%s' '", out, "'"));
    CHECK(base::HasReason(c.Add(), "cni.result.invalid"));
    CHECK(c.bench.Calls() == "one.ADD bad.ADD bad.DEL one.DEL");
    CHECK(c.bench.Clean());
  }
  Case later(R"(echo '{"cniVersion":"9.9.9"}')");
  CHECK(base::HasReason(later.Add(), "cni.version"));
  Case null("echo null");
  CHECK(null.Add().ok());
}

TEST_CASE("hostile: endless output is cut at the limit and the plugin ended", "[libcni][invoke]") {
  Case c("exec yes '{\"a\":1}'");
  base::Limits limits;
  limits.plugin_output_bytes = 100000;
  base::Op op;
  op.set_limits(&limits);
  absl::Status status = c.Add(op);
  CHECK(base::HasReason(status, "core.limit"));
  CHECK(base::GetError(status).Detail("cni.plugin") == "bad");
  CHECK(c.bench.Calls() == "one.ADD bad.ADD bad.DEL one.DEL");
  CHECK(c.bench.Clean());
}

TEST_CASE("hostile: endless noise on stderr does no harm", "[libcni][invoke]") {
  Case c("yes noise | head -c 5000000 >&2; echo '{\"code\":7,\"msg\":\"no\"}'; exit 1");
  absl::Status status = c.Add();
  CHECK(base::HasReason(status, "cni.plugin.config"));
  CHECK(base::GetError(status).Detail("stderr").size() < 2000);
}

TEST_CASE("hostile: a plugin that hangs is ended at the deadline, with what it started",
          "[libcni][invoke]") {
  Case c("sleep 600 & echo $! > ${0%/bin/*}/grandchild; wait");
  base::Op op;
  op.set_deadline(base::Deadline::AfterMs(500));
  absl::Status status = c.Add(op);
  CHECK(base::HasReason(status, "core.deadline_exceeded"));
  base::Error error = base::GetError(status);
  CHECK(error.Detail("cni.plugin") == "bad");
  CHECK(error.Detail("cni.rollback").empty());
  // Although the operation's time is up, the DELs ran.
  CHECK(c.bench.Calls() == "one.ADD bad.ADD bad.DEL one.DEL");
  CHECK(c.bench.Clean());
  std::string pid = testing::ReadFile(c.bench.dir() / "grandchild");
  REQUIRE(pid.size() > 1);
  int gone = 0;
  testing::Shell("for i in 1 2 3 4 5 6 7 8 9 10; do s=$(sed 's/.*) //;s/ .*//' /proc/" +
                     pid.substr(0, pid.size() - 1) +
                     "/stat 2>/dev/null); case \"$s\" in ''|Z) exit 0;; esac; sleep 0.1; done; "
                     "exit 1",
                 &gone);
  CHECK(gone == 0);
}

TEST_CASE("hostile: a grandchild that keeps stdout open does not hold the answer up",
          "[libcni][invoke]") {
  Case c("sleep 600 & echo $! > ${0%/bin/*}/grandchild; echo '{\"cniVersion\":\"1.0.0\"}'");
  base::Op op;
  op.set_deadline(base::Deadline::AfterMs(60000));
  CHECK(c.Add(op).ok());
  testing::Shell("kill -9 $(cat " + (c.bench.dir() / "grandchild") + ")");
}

TEST_CASE("hostile: a cancel ends the plugin and rolls back", "[libcni][invoke]") {
  Case c("echo > ${0%/bin/*}/started; sleep 600");
  auto cancel = base::Cancel::New();
  REQUIRE(cancel.ok());
  base::Op op;
  op.set_cancel(cancel->get());
  std::thread firer([&] {
    while (!testing::Exists(c.bench.dir() / "started")) std::this_thread::yield();
    (*cancel)->Fire();
  });
  absl::Status status = c.Add(op);
  firer.join();
  CHECK(base::HasReason(status, "core.cancelled"));
  CHECK(c.bench.Calls() == "one.ADD bad.ADD bad.DEL one.DEL");
  CHECK(c.bench.Clean());
}

TEST_CASE("hostile: a plugin that dies is told by its status or signal", "[libcni][invoke]") {
  Case by_signal("kill -SEGV $$");
  absl::Status status = by_signal.Add();
  CHECK(base::HasReason(status, "cni.plugin.exit"));
  CHECK(base::GetError(status).Detail("exit.signal") == "11");
  Case by_status("echo why >&2; exit 42");
  status = by_status.Add();
  CHECK(base::HasReason(status, "cni.plugin.exit"));
  CHECK(base::GetError(status).Detail("exit.status") == "42");
  CHECK(absl::StrContains(base::GetError(status).message, "why"));
  Case garbage("echo garbage; exit 1");
  CHECK(base::HasReason(garbage.Add(), "cni.plugin.output"));
}

TEST_CASE("hostile: a missing plugin is noticed before anything runs", "[libcni][invoke]") {
  Case c("");
  testing::Shell("rm " + c.bench.bin() + "/bad");
  absl::Status status = c.Add();
  CHECK(base::HasReason(status, "cni.plugin.not_found"));
  CHECK(absl::StrContains(base::GetError(status).message, c.bench.bin()));
  CHECK(c.bench.Calls().empty());
  CHECK(c.bench.Clean());
  testing::Shell("mkdir " + c.bench.bin() + "/bad");
  CHECK(base::HasReason(c.Add(), "cni.plugin.not_found"));
  // A link to a program counts.
  testing::Shell("rmdir " + c.bench.bin() + "/bad; ln -s one " + c.bench.bin() + "/bad");
  CHECK(c.Add().ok());
}

TEST_CASE("hostile: a plugin that may not or cannot be executed is undone", "[libcni][invoke]") {
  Case c("");
  testing::WriteFile(c.bench.bin() + "/bad", "#!/bin/sh\n", 0644);
  testing::Shell("chmod 644 " + c.bench.bin() + "/bad");
  absl::Status status = c.Add();
  CHECK(base::HasReason(status, "core.permission"));
  CHECK(base::GetError(status).Detail("cni.plugin") == "bad");
  // bad.DEL cannot run either, which is told; one.DEL does.
  CHECK(c.bench.Calls() == "one.ADD one.DEL");
  testing::WriteFile(c.bench.bin() + "/bad", "not a program", 0755);
  testing::Shell("chmod 755 " + c.bench.bin() + "/bad");
  status = c.Add();
  CHECK(base::HasReason(status, "process.spawn"));
}

TEST_CASE("hostile: a plugin that is being written is waited for", "[libcni][invoke]") {
  Case c("echo '{\"cniVersion\":\"1.0.0\"}'");
  const std::string path = c.bench.bin() + "/bad";
  std::thread writer([&] {
    testing::Shell("exec 3>>" + path + "; touch " + (c.bench.dir() / "open") + "; sleep 0.3");
  });
  while (!testing::Exists(c.bench.dir() / "open")) std::this_thread::yield();
  absl::Status status = c.Add();
  writer.join();
  CHECK(status.ok());
}

TEST_CASE("hostile: names and arguments are checked before anything runs", "[libcni][invoke]") {
  Case c("echo '{}'");
  Client client(c.bench.Options());
  auto add = [&](Runtime runtime, std::string_view network = "net") {
    NetworkList list = MustList(kList);
    list.name = network;
    absl::Status status = client.AddNetworkList(base::Op(), list, runtime).status();
    CHECK(client.DelNetworkList(base::Op(), list, runtime).code() == status.code());
    CHECK(c.bench.Calls().empty());
    return base::ReasonOf(status);
  };
  Runtime good = MakeRuntime();
  for (const char* bad : {"", "../../etc", "a/b", "-x", "a b"}) {
    INFO(bad);
    Runtime runtime = good;
    runtime.container_id = bad;
    CHECK(add(runtime) == "cni.name");
    CHECK(add(good, bad) == "cni.name");
    runtime = good;
    runtime.ifname = std::string(bad) + "/";
    CHECK(add(runtime) == "cni.name");
  }
  Runtime runtime = good;
  runtime.args = {{"A", "1;CNI_NETNS=x"}};
  CHECK(add(runtime) == "core.invalid_argument");
  runtime.args = {{"", "x"}};
  CHECK(add(runtime) == "core.invalid_argument");
  runtime.args = {{"A", std::string("x\0y", 3)}};
  CHECK(add(runtime) == "core.invalid_argument");
  runtime = good;
  runtime.netns = std::string("/x\0y", 4);
  CHECK(add(runtime) == "core.invalid_argument");
  ClientOptions relative = c.bench.Options();
  relative.plugin_dirs = {"bin"};
  CHECK(base::HasReason(Client(relative).AddNetworkList(base::Op(), MustList(kList), good).status(),
                        "core.invalid_argument"));
}

TEST_CASE("hostile: thirty-two containers at once keep their turns", "[libcni][invoke]") {
  Case c("echo '{\"cniVersion\":\"1.0.0\"}'");
  // Recording by number is not made for parallel calls.
  for (const char* name : {"one", "bad"}) {
    testing::WriteScript(c.bench.bin() + "/" + name,
                         "cat > /dev/null; [ $CNI_COMMAND = ADD ] && echo '{\"cniVersion\":"
                         "\"1.0.0\"}'; exit 0");
  }
  Client client(c.bench.Options());
  NetworkList list = MustList(kList);
  std::vector<std::thread> threads;
  std::vector<absl::Status> statuses(32);
  for (int i = 0; i < 32; ++i) {
    threads.emplace_back([&, i] {
      Runtime runtime = MakeRuntime();
      runtime.container_id = absl::StrCat("c", i / 2);
      runtime.ifname = absl::StrCat("eth", i % 2);
      statuses[i] = client.AddNetworkList(base::Op(), list, runtime).status();
      if (statuses[i].ok() && i % 4 < 2) {
        statuses[i] = client.DelNetworkList(base::Op(), list, runtime);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : statuses) CHECK(status.ok());
  CHECK(testing::ListDir(c.bench.cache() + "/results").size() == 16);
}

}  // namespace
}  // namespace coaming::cni
