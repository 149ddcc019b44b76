#include "libaci/pod/pod_dir.h"

#include <thread>

#include "base/core/error.h"
#include "base/testing/status_testing.h"
#include "base/testing/temp_tree.h"
#include "catch2/catch_test_macros.hpp"
#include "libaci/schema/types.h"

namespace coaming::aci {
namespace {

struct Root {
  Root() : dir(*base::Dir::Open(tree.path())) {}
  base::testing::TempTree tree;
  base::Dir dir;
};

TEST_CASE("pod dir: a pod passes through its places and each shows its state", "[libaci][pod]") {
  Root root;
  const std::string uuid = NewUuid();
  auto pod = PodDir::Create(root.dir, uuid);
  REQUIRE_OK(pod);
  CHECK(*pod->State() == PodState::kEmbryo);
  REQUIRE_OK(pod->Move(root.dir, "prepare"));
  auto other = PodDir::Open(root.dir, uuid);
  REQUIRE_OK(other);
  CHECK(*other->State() == PodState::kPreparing);
  CHECK_FALSE(*other->TryLock());
  REQUIRE_OK(pod->Move(root.dir, "prepared"));
  REQUIRE_OK(pod->Move(root.dir, "run"));
  other = PodDir::Open(root.dir, uuid);
  CHECK(*other->State() == PodState::kRunning);
  pod->Unlock();
  CHECK(*other->State() == PodState::kExited);
  REQUIRE_OK(other->Move(root.dir, "exited-garbage"));
  CHECK(*other->State() == PodState::kExitedGarbage);
  REQUIRE_OK(other->Move(root.dir, "garbage"));
  REQUIRE_OK(other->Remove(base::Op(), root.dir));
  REQUIRE_REASON(PodDir::Open(root.dir, uuid), "pod.not_found");
}

TEST_CASE("pod dir: of two that move a pod one loses and is told so", "[libaci][pod]") {
  Root root;
  const std::string uuid = NewUuid();
  auto pod = PodDir::Create(root.dir, uuid);
  REQUIRE_OK(pod);
  REQUIRE_OK(pod->Move(root.dir, "prepared"));
  auto other = PodDir::Open(root.dir, uuid);
  REQUIRE_OK(other);
  REQUIRE_OK(other->Move(root.dir, "run"));
  REQUIRE_REASON(pod->Move(root.dir, "run"), "pod.not_found");
}

TEST_CASE("pod dir: a lock that a child inherited keeps the pod running", "[libaci][pod]") {
  Root root;
  const std::string uuid = NewUuid();
  base::UniqueFd inherited;
  {
    auto pod = PodDir::Create(root.dir, uuid);
    REQUIRE_OK(pod);
    REQUIRE_OK(pod->Move(root.dir, "run"));
    inherited = *base::DupFd(pod->lock_fd());
  }
  auto pod = PodDir::Open(root.dir, uuid);
  REQUIRE_OK(pod);
  CHECK(*pod->State() == PodState::kRunning);
  std::thread ends([&] { inherited.Reset(); });
  REQUIRE_OK(pod->WaitExit(base::Op()));
  ends.join();
  CHECK(*pod->State() == PodState::kExited);
}

TEST_CASE("pod dir: UUIDs are completed, and what is none is refused", "[libaci][pod]") {
  Root root;
  for (const char* uuid :
       {"0b0e5a3c-0000-4000-8000-000000000001", "0b0e5a3d-0000-4000-8000-000000000002"}) {
    auto pod = PodDir::Create(root.dir, uuid);
    REQUIRE_OK(pod);
    REQUIRE_OK(pod->Move(root.dir, "prepared"));
  }
  CHECK(*PodDir::Resolve(root.dir, "0B0E5A3C") == "0b0e5a3c-0000-4000-8000-000000000001");
  REQUIRE_REASON(PodDir::Resolve(root.dir, "0b0e"), "pod.ambiguous");
  REQUIRE_REASON(PodDir::Resolve(root.dir, "ff"), "pod.not_found");
  REQUIRE_REASON(PodDir::Resolve(root.dir, "../etc"), "core.invalid_argument");
  REQUIRE_REASON(PodDir::Resolve(root.dir, ""), "core.invalid_argument");
  CHECK(PodDir::List(root.dir)->size() == 2);
}

TEST_CASE("pod dir: new UUIDs are version 4 and differ", "[libaci][pod]") {
  const std::string uuid = NewUuid();
  CHECK(*ParseUuid(uuid) == uuid);
  CHECK(uuid[14] == '4');
  CHECK(NewUuid() != uuid);
}

}  // namespace
}  // namespace coaming::aci
