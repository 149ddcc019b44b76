"""Runs every test of the tree and counts real test cases. Called by ./run_tests.

Each phase yields counts from the <testcase> elements that its tests wrote; a target that wrote none
counts as one. The closing line is the sum over all phases.
"""

import argparse
import concurrent.futures
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FUZZ_SECONDS = 60
LIBRARIES = ("base", "libaci", "libcni", "liboci", "libtrust", "capi")


class Counts:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.failures = []
        self.skips = []

    def fail(self, name):
        self.failed += 1
        self.failures.append(name)

    def line(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {len(self.skips)} skipped" if self.skips else "")


def count_xml(counts, label, path, ok):
    """Adds the test cases of one test.xml; a file without any counts as one case."""
    cases = failed = 0
    try:
        tree = xml.etree.ElementTree.parse(path)
    except (OSError, xml.etree.ElementTree.ParseError):
        tree = None
    for case in tree.iter("testcase") if tree else ():
        cases += 1
        name = f"{label}: {case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            counts.fail(name)
        elif skipped is not None:
            why = skipped.get("message") or (skipped.text or "").strip()
            counts.skips.append(f"{name}: {why}".replace("\n", " "))
        else:
            counts.passed += 1
    if not ok and not failed:
        counts.fail(label)
    elif ok and not cases:
        counts.passed += 1


def bazel(*args):
    return ["bazel", *args]


def query(expression):
    found = subprocess.run(
        bazel("query", "--noshow_progress", "--keep_going", expression),
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return found.stdout.split()


def bazel_test(counts, title, options, targets):
    """One `bazel test`; its results are read from the build event stream. True if all was built."""
    print(f"== {title}", flush=True)
    with tempfile.NamedTemporaryFile(suffix=".json") as events:
        code = subprocess.run(
            bazel("test", "--keep_going", "--noshow_progress",
                  f"--build_event_json_file={events.name}", *options, "--", *targets),
            cwd=ROOT, check=False).returncode
        results, broken = {}, set()
        with open(events.name, encoding="utf-8") as stream:
            for line in stream:
                event = json.loads(line)
                ident = event.get("id", {})
                if "testResult" in ident and "testResult" in event:
                    key = (ident["testResult"]["label"], ident["testResult"].get("shard", 1),
                           ident["testResult"].get("run", 1))
                    results[key] = event["testResult"]
                elif "targetCompleted" in ident:
                    # A target that could not be built says neither success nor a result.
                    if not event.get("completed", {}).get("success"):
                        broken.add(ident["targetCompleted"]["label"])
    before = counts.failed
    for (label, _, _), result in sorted(results.items()):
        path = ""
        for output in result.get("testActionOutput", ()):
            if output.get("name") == "test.xml":
                path = urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path)
        count_xml(counts, label, path, result.get("status") == "PASSED")
    for label in sorted(broken - {key[0] for key in results}):
        counts.fail(f"{label} (not built)")
    # 4: no test matched, which the caller judges; 3: tests failed, counted above.
    if code not in (0, 3, 4) and counts.failed == before:
        counts.fail(f"{title} (bazel ended with {code})")
    return code in (0, 3, 4)


def fuzz_one(binary, name):
    """Runs one libFuzzer program for a while on a copy of its corpus."""
    runfiles = binary + ".runfiles/coaming"
    with tempfile.TemporaryDirectory(prefix="coam-fuzz-") as work:
        seeds, args = os.path.join(work, "seeds"), []
        os.mkdir(seeds)
        with open(binary + ".runfiles_manifest", encoding="utf-8") as manifest:
            for line in manifest:
                _, _, path = line.rstrip("\n").partition(" ")
                if path.endswith(".dict"):
                    args.append(f"-dict={path}")
                elif path and path != binary and os.path.isfile(path):
                    shutil.copy(path, os.path.join(seeds, f"{len(os.listdir(seeds))}"))
        done = subprocess.run(
            [binary, f"-max_total_time={FUZZ_SECONDS}", "-timeout=20", "-rss_limit_mb=2048",
             "-print_final_stats=1", f"-artifact_prefix={work}/", *args, seeds],
            cwd=runfiles if os.path.isdir(runfiles) else work, env={"PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        kept = ""
        for crash in glob.glob(os.path.join(work, "*-*")):
            kept = os.path.join(tempfile.gettempdir(), f"coam-{name}-{os.path.basename(crash)}")
            shutil.copy(crash, kept)
        return done.returncode, done.stdout.decode("utf-8", "replace"), kept


def memory_tests(targets):
    """Unit tests of library code, where memory safety matters, and the fuzz targets."""
    scope = " + ".join(targets)
    library = " + ".join(f"//{top}/..." for top in LIBRARIES)
    tests = query(f'(kind(cc_test, {scope}) intersect ({library}))'
                  f' except attr(tags, "\\b(no-asan|root|manual)\\b", {scope})')
    return tests, query(f'attr(tags, "\\bfuzz\\b", kind(cc_binary, {scope}))')


def fuzz(counts, labels):
    print(f"== fuzzing, {FUZZ_SECONDS} s each", flush=True)
    bin_dir = subprocess.run(bazel("info", "--config=asan", "bazel-bin"), cwd=ROOT, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             check=True).stdout.strip()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {}
        for label in labels:
            package, _, name = label.lstrip("/").partition(":")
            running[label] = pool.submit(fuzz_one, os.path.join(bin_dir, package, name), name)
        for label, future in running.items():
            code, output, kept = future.result()
            if code == 0:
                counts.passed += 1
            else:
                print(output[-4000:])
                counts.fail(f"{label} (input kept at {kept})")


def command(counts, title, args):
    """A check outside Bazel, which may write test cases to $XML_OUTPUT_FILE; else it counts as one."""
    print(f"== {title}", flush=True)
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "test.xml")
        done = subprocess.run(args, cwd=ROOT, check=False,
                              env=dict(os.environ, XML_OUTPUT_FILE=path))
        count_xml(counts, title, path, done.returncode == 0)


def main():
    parser = argparse.ArgumentParser(prog="run_tests", description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="also the thread sanitizer, fuzzing and quickstart")
    parser.add_argument("--quick", action="store_true", help="without the sanitizer run")
    parser.add_argument("targets", nargs="*", default=["//..."])
    options = parser.parse_args()
    full = options.full or os.environ.get("CI") == "true"
    everything = options.targets == ["//..."]
    start = time.monotonic()
    counts = Counts()

    if everything:
        command(counts, "tools/check", ["tools/check"])
    bazel_test(counts, "tests", [], options.targets)
    if full and everything:
        command(counts, "clang-tidy", ["tools/tidy"])
    if full or not options.quick:
        tests, targets = memory_tests(options.targets)
        if tests + targets:
            built = bazel_test(counts, "tests under address and undefined behaviour sanitizers",
                               ["--config=asan"], tests + (targets if full else []))
            if full and built:
                fuzz(counts, targets)
    if full and everything:
        bazel_test(counts, "tests of threads under the thread sanitizer", ["--config=tsan"],
                   ["//tests/threads"])
    if full:
        if everything and os.access(os.path.join(ROOT, "quickstart"), os.X_OK):
            command(counts, "quickstart", ["./quickstart"])

    for name in counts.skips:
        print(f"skipped: {name}")
    for name in counts.failures:
        print(f"FAILED: {name}")
    nothing = counts.passed + counts.failed == 0
    if nothing:
        print("no test ran")
    print(f"{time.monotonic() - start:.0f} s")
    print(counts.line(), flush=True)
    return 1 if counts.failed or nothing else 0


if __name__ == "__main__":
    sys.exit(main())
