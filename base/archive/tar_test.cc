#include "base/archive/tar.h"

#include <cstring>
#include <string>
#include <vector>

#include "base/core/error.h"
#include "base/stream/test_util.h"
#include "catch2/catch_test_macros.hpp"

namespace coaming::base {
namespace {

using testing::Sample;
using testing::Through;

struct Item {
  TarEntry entry;
  std::string bytes;
};

using Engine = TarReadOptions::Engine;

absl::StatusOr<std::vector<Item>> ReadTar(std::string_view bytes, Engine engine = Engine::kLean,
                                          size_t block = SIZE_MAX, bool regions = false,
                                          const Limits* limits = nullptr) {
  Op op;
  if (limits != nullptr) op.set_limits(limits);
  auto tar = TarReader::Open(op, std::make_unique<MemoryReader>(bytes, block), {.engine = engine});
  if (!tar.ok()) return tar.status();
  std::vector<Item> items;
  for (;;) {
    absl::StatusOr<const TarEntry*> e = (*tar)->Next();
    if (!e.ok()) return e.status();
    if (*e == nullptr) break;
    Item item{**e, ""};
    if (regions) {
      item.bytes.assign(static_cast<size_t>((*e)->size), '\0');
      for (;;) {
        absl::StatusOr<TarReader::Block> b = (*tar)->ReadRegion();
        if (!b.ok()) return b.status();
        if (b->bytes.empty()) break;
        item.bytes.replace(static_cast<size_t>(b->offset), b->bytes.size(), b->bytes);
      }
    } else {
      char piece[1000];
      for (;;) {
        absl::StatusOr<size_t> n = (*tar)->Read(piece);
        if (!n.ok()) return n.status();
        if (*n == 0) break;
        item.bytes.append(piece, *n);
      }
    }
    items.push_back(std::move(item));
  }
  absl::Status drained = (*tar)->Drain();
  if (!drained.ok()) return drained;
  return items;
}

std::vector<Item> Must(std::string_view bytes, Engine engine = Engine::kLean,
                       size_t block = SIZE_MAX, bool regions = false) {
  absl::StatusOr<std::vector<Item>> items = ReadTar(bytes, engine, block, regions);
  INFO(items.status().ToString());
  REQUIRE(items.ok());
  return *std::move(items);
}

// What both engines must agree on.
std::string Describe(const Item& i) {
  const TarEntry& e = i.entry;
  std::string out = e.path + "|" + std::string(TarTypeName(e.type)) + "|" + e.link + "|" +
                    std::to_string(e.size) + "|" + std::to_string(e.mode) + "|" +
                    std::to_string(e.uid) + ":" + std::to_string(e.gid) + "|" + e.uname + ":" +
                    e.gname + "|" + std::to_string(e.mtime.seconds) + "." +
                    std::to_string(e.mtime.nanoseconds) + "|" + std::to_string(e.dev_major) + "," +
                    std::to_string(e.dev_minor);
  for (const auto& [name, value] : e.xattrs) out += "|" + name + "=" + value;
  return out + "|" + i.bytes;
}

void SameByBoth(const std::string& tar) {
  std::vector<Item> lean = Must(tar), other = Must(tar, Engine::kLibarchive);
  REQUIRE(lean.size() == other.size());
  for (size_t i = 0; i < lean.size(); ++i) {
    CHECK(Describe(lean[i]) == Describe(other[i]));
    CHECK(lean[i].entry.header_offset == other[i].entry.header_offset);
  }
  for (size_t block : {size_t{1}, size_t{511}, size_t{100000}}) {
    std::vector<Item> again = Must(tar, Engine::kLean, block, true);
    REQUIRE(again.size() == lean.size());
    for (size_t i = 0; i < lean.size(); ++i) CHECK(Describe(again[i]) == Describe(lean[i]));
  }
}

// A tree with everything a tar can hold without being root.
constexpr char kTree[] =
    "d=$(mktemp -d) && cd $d && mkdir -p dir/sub && echo hello >dir/a && ln dir/a dir/hard && "
    "ln -s ../a dir/sub/soft && mkfifo fifo && chmod 4755 dir/a && chmod 1777 dir/sub && "
    "n=$(printf 'x%.0s' $(seq 1 150)) && mkdir -p $n/$n && echo deep >$n/$n/file && "
    "echo long >$(printf 'y%.0s' $(seq 1 120)) && ln -s $n/$n/file longlink && : >empty && "
    "printf 'gr\\303\\274n' >'gr\xc3\xbcn' && touch -d '2001-02-03 04:05:06.789012345 UTC' dir/a "
    "&& ";

TEST_CASE("tar: what GNU tar and bsdtar write in each format is read alike by both engines",
          "[base][archive]") {
  for (const char* command :
       {"tar --format=gnu -cf - .", "tar --format=ustar -cf - dir fifo empty",
        "tar --format=pax -cf - .", "tar --format=v7 -cf - dir/sub empty",
        "tar --format=oldgnu -cf - .", "bsdtar --format=pax -cf - .",
        "bsdtar --format=ustar -cf - dir fifo", "bsdtar --format=gnutar -cf - ."}) {
    INFO(command);
    const std::string tar = Through(std::string(kTree) + command + " && cd / && rm -rf $d", "");
    if (tar == "?failed") {
      if (std::strncmp(command, "bsdtar", 6) == 0) continue;  // may not be installed
      FAIL("tar failed");
    }
    SameByBoth(tar);
    // Nothing after the last entry is needed but whole data.
    CHECK(Must(tar + std::string(10240, '\0')).size() == Must(tar).size());
  }
}

TEST_CASE("tar: sparse files of each kind keep their holes", "[base][archive]") {
  const std::string tree =
      "d=$(mktemp -d) && cd $d && truncate -s 3M s && printf start | dd of=s conv=notrunc "
      "status=none "
      "&& printf middle | dd of=s bs=1M seek=1 conv=notrunc status=none && "
      "truncate -s 5M many && for i in $(seq 1 30); do printf $i | dd of=many bs=128k seek=$i "
      "conv=notrunc status=none; done && truncate -s 4M hole && ";
  for (const char* command : {"tar --format=gnu -S -cf - s many hole",
                              "tar --format=pax -S --sparse-version=0.0 -cf - s many hole",
                              "tar --format=pax -S --sparse-version=0.1 -cf - s many hole",
                              "tar --format=pax -S --sparse-version=1.0 -cf - s many hole"}) {
    INFO(command);
    const std::string tar = Through(tree + command + " && cd / && rm -rf $d", "");
    REQUIRE(tar != "?failed");
    std::vector<Item> items = Must(tar);
    REQUIRE(items.size() == 3);
    CHECK(items[0].entry.path == "s");
    CHECK(items[0].entry.size == 3 << 20);
    CHECK(items[0].entry.sparse);
    CHECK(items[0].entry.regions.size() == 2);
    CHECK(items[0].bytes.substr(0, 5) == "start");
    CHECK(items[0].bytes.substr(1 << 20, 6) == "middle");
    CHECK(items[1].entry.regions.size() == 30);
    CHECK(items[1].bytes.substr(30 * 131072, 2) == "30");
    CHECK(items[2].entry.regions.empty());
    CHECK(items[2].bytes == std::string(4 << 20, '\0'));
    CHECK(tar.size() < (1 << 20));
    SameByBoth(tar);
  }
}

TEST_CASE("tar: Python's odd entries are read alike by both engines", "[base][archive]") {
  const std::string script =
      "python3 -c '\n"
      "import tarfile,io,sys\n"
      "fmt={\"pax\":tarfile.PAX_FORMAT,\"gnu\":tarfile.GNU_FORMAT}[\"FORMAT\"]\n"
      "t=tarfile.open(fileobj=sys.stdout.buffer,mode=\"w|\",format=fmt)\n"
      "def add(name,type=tarfile.REGTYPE,data=b\"\",**k):\n"
      "  i=tarfile.TarInfo(name);i.type=type;i.size=len(data)\n"
      "  for a,b in k.items(): setattr(i,a,b)\n"
      "  t.addfile(i,io.BytesIO(data))\n"
      "add(\"big-ids\",uid=3000000,gid=1<<40,uname=\"u\",gname=\"g\",mode=0o6755)\n"
      "add(\"char\",tarfile.CHRTYPE,devmajor=1,devminor=3)\n"
      "add(\"block\",tarfile.BLKTYPE,devmajor=259,devminor=65537)\n"
      "add(\"old\",mtime=-5)\n"
      "add(\"whiteout/.wh.x\",data=b\"\")\n"
      "add(\"d\",tarfile.DIRTYPE,mode=0o755)\n"
      "add(\"link\",tarfile.LNKTYPE,linkname=\"big-ids\")\n"
      "add(\"l\"*300,tarfile.SYMTYPE,linkname=\"t\"*400)\n"
      "add(\"data\",data=b\"x\"*1025)\n"
      "t.close()'";
  for (const char* format : {"pax", "gnu"}) {
    std::string command = script;
    command.replace(command.find("FORMAT\"]"), 6, format);
    const std::string tar = Through(command, "");
    REQUIRE(tar != "?failed");
    INFO(format);
    std::vector<Item> items = Must(tar);
    REQUIRE(items.size() == 9);
    CHECK(items[0].entry.uid == 3000000);
    CHECK(items[0].entry.gid == int64_t{1} << 40);
    CHECK(items[0].entry.mode == 06755);
    CHECK(items[1].entry.dev_minor == 3);
    CHECK(items[3].entry.mtime.seconds == -5);
    CHECK(items[6].entry.link == "big-ids");
    CHECK(items[7].entry.path == std::string(300, 'l'));
    CHECK(items[7].entry.link == std::string(400, 't'));
    SameByBoth(tar);
  }
}

// ----- writing

std::string WriteTar(const std::vector<Item>& items, const TarWriteOptions& options = {}) {
  std::string out;
  StringWriter sink(&out);
  auto tar = TarWriter::New(&sink, options);
  REQUIRE(tar.ok());
  for (const Item& i : items) {
    absl::Status status = (*tar)->AddFile(i.entry, i.bytes);
    INFO(status.ToString());
    REQUIRE(status.ok());
  }
  REQUIRE((*tar)->Finish().ok());
  return out;
}

std::vector<Item> EveryKind() {
  std::vector<Item> items;
  auto add = [&](TarEntry e, std::string bytes = "") {
    e.size = static_cast<int64_t>(bytes.size());
    e.mtime = {1700000000, 0};
    items.push_back({std::move(e), std::move(bytes)});
  };
  add({.path = "dir/", .type = TarType::kDirectory, .mode = 01755, .uid = 1, .gid = 2});
  add({.path = "dir/file", .mode = 04644, .uid = 3000000, .gid = 1 << 30, .uname = "root"},
      Sample(5000));
  add({.path = "dir/soft", .type = TarType::kSymlink, .link = "../target", .mode = 0777});
  add({.path = "dir/hard", .type = TarType::kHardlink, .link = "dir/file", .mode = 04644});
  add({.path = "null", .type = TarType::kCharDevice, .mode = 0666, .dev_major = 1, .dev_minor = 3});
  add({.path = "disk",
       .type = TarType::kBlockDevice,
       .mode = 0660,
       .dev_major = 8,
       .dev_minor = 17});
  add({.path = "pipe", .type = TarType::kFifo, .mode = 0600});
  add({.path = std::string(400, 'n'), .mode = 0644}, "x");
  add({.path = "s", .type = TarType::kSymlink, .link = std::string(300, 'l'), .mode = 0777});
  add({.path = "gr\xc3\xbcn/\xe2\x82\xac", .mode = 0644}, "utf-8");
  add({.path = "latin-\xfc\xff", .mode = 0644}, "bytes");
  add({.path = "soft-\xfc", .type = TarType::kSymlink, .link = "to-\xe9", .mode = 0777});
  add({.path = "x",
       .mode = 0644,
       .xattrs = {{"user.a", "plain"},
                  {"security.capability", std::string("\x01\0\0\x02\0\x04\0\0\n=%", 11)}}},
      "attributes");
  return items;
}

TEST_CASE("tar: every kind of entry comes back as it was written", "[base][archive]") {
  std::vector<Item> items = EveryKind();
  const std::string tar = WriteTar(items);
  CHECK(tar == WriteTar(items));  // reproducible
  CHECK(tar.size() % 512 == 0);
  std::vector<Item> back = Must(tar);
  REQUIRE(back.size() == items.size());
  for (size_t i = 0; i < items.size(); ++i) CHECK(Describe(back[i]) == Describe(items[i]));
  CHECK(tar.find("LIBARCHIVE.xattr") == tar.npos);
  CHECK(tar.find("SCHILY.xattr.user.a=plain\n") != tar.npos);
}

TEST_CASE("tar: GNU tar and Python list what is written here", "[base][archive]") {
  const std::string tar = WriteTar(EveryKind());
  const std::string listed = Through("tar --quoting-style=literal -tf - | wc -l", tar);
  CHECK(listed == "13\n");
  const std::string bytes = Through("tar -xOf - dir/file", tar);
  CHECK(bytes == EveryKind()[1].bytes);
  const std::string python = Through(
      "python3 -c 'import tarfile,sys\n"
      "t=tarfile.open(fileobj=sys.stdin.buffer,mode=\"r|\",encoding=\"utf-8\",errors="
      "\"surrogateescape\")\n"
      "for m in t: "
      "print(m.uid,m.gid,m.size,oct(m.mode),len(m.name),m.linkname[:9],m.devmajor,m.devminor)'",
      tar);
  CHECK(python.find("3000000 1073741824 5000 0o4644 8 ") != python.npos);
  CHECK(python.find(" 1 3\n") != python.npos);
  CHECK(python.find(" 8 17\n") != python.npos);
}

TEST_CASE("tar: plain entries need no PAX header; finer times cost one if asked",
          "[base][archive]") {
  Item item{{.path = "a", .size = 1, .mode = 0644, .mtime = {1000000000, 123456789}}, "x"};
  const std::string plain = WriteTar({item});
  CHECK(plain.size() == 512 * 4);
  CHECK(Must(plain)[0].entry.mtime == TarTime{1000000000, 0});
  const std::string fine = WriteTar({item}, {.sub_second = true});
  CHECK(Must(fine)[0].entry.mtime == item.entry.mtime);
  CHECK(fine.size() == 512 * 6);
  CHECK(WriteTar({item}, {.end_blocks = 20}).size() == 10240);
  CHECK(WriteTar({}).size() == 1024);
  item.entry.atime = {5, 6};
  CHECK(Must(WriteTar({item}, {.access_times = true}))[0].entry.atime == TarTime{5, 6});
}

TEST_CASE("tar: a wrong entry is refused before a byte is written", "[base][archive]") {
  std::string out;
  StringWriter sink(&out);
  auto tar = *TarWriter::New(&sink);
  for (const TarEntry& e :
       {TarEntry{.path = ""}, TarEntry{.path = std::string("a\0b", 3)},
        TarEntry{.path = "l", .type = TarType::kSymlink}, TarEntry{.path = "n", .size = -1},
        TarEntry{.path = "n", .uid = -1}, TarEntry{.path = "n", .xattrs = {{"a=b", "c"}}}}) {
    CHECK(ReasonOf(tar->Add(e)) == "core.invalid_argument");
  }
  REQUIRE(tar->Add({.path = "f", .size = 3}).ok());
  REQUIRE(tar->Write("ab").ok());
  CHECK(ReasonOf(tar->Write("cd")) == "core.invalid_argument");
  CHECK(ReasonOf(tar->Add({.path = "g"})) == "core.invalid_argument");
  CHECK(ReasonOf(tar->Finish()) == "core.invalid_argument");
  REQUIRE(tar->Write("c").ok());
  CHECK(tar->Finish().ok());
}

// ----- damage

// Sets a field and mends the checksum.
std::string Patched(std::string tar, size_t at, std::string_view bytes, size_t header = 0) {
  tar.replace(header + at, bytes.size(), bytes);
  unsigned sum = 0;
  for (size_t i = 0; i < 512; ++i) {
    sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(tar[header + i]);
  }
  char field[9];
  std::snprintf(field, sizeof field, "%06o", sum);
  tar.replace(header + 148, 7, field, 7);
  tar[header + 155] = ' ';
  return tar;
}

std::string Reason(const std::string& tar) { return ReasonOf(ReadTar(tar).status()); }

TEST_CASE("tar: a cut archive is refused unless it ends between entries", "[base][archive]") {
  const std::string tar = WriteTar(EveryKind());
  std::vector<int64_t> ends = {0};
  std::vector<Item> items = Must(tar);
  for (const Item& i : items) {
    ends.push_back(i.entry.header_offset);
  }
  for (size_t cut = 0; cut < tar.size(); cut += 37) {
    absl::StatusOr<std::vector<Item>> got = ReadTar(tar.substr(0, cut));
    INFO(cut);
    if (!got.ok()) {
      CHECK(ReasonOf(got.status()) == "archive.corrupt");
      continue;
    }
    // Whole entries only, and their data is whole.
    for (size_t i = 0; i < got->size(); ++i) CHECK(Describe((*got)[i]) == Describe(items[i]));
  }
  for (int64_t end : ends) CHECK(ReadTar(tar.substr(0, static_cast<size_t>(end))).ok());
}

TEST_CASE("tar: hostile fields are refused with their place", "[base][archive]") {
  const std::string tar = WriteTar({{{.path = "file", .size = 5, .mode = 0644}, "hello"}});
  REQUIRE(ReadTar(tar).ok());
  std::string flipped = tar;
  flipped[0] = 'g';
  CHECK(Reason(flipped) == "archive.corrupt");                           // checksum
  CHECK(Reason(Patched(tar, 124, "99999999999")) == "archive.corrupt");  // not octal
  CHECK(Reason(Patched(tar, 124, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")) ==
        "archive.corrupt");  // negative
  CHECK(Reason(Patched(tar, 124,
                       std::string_view("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12))) ==
        "archive.corrupt");  // close to 2^63
  CHECK(GetError(ReadTar(Patched(tar, 124, "77777777777")).status()).Detail("limit.name") == "");
  CHECK(Reason(Patched(tar, 124, "77777777777")) == "archive.corrupt");  // cut in data
  CHECK(Reason(Patched(tar, 108, "zzzzzzz")) == "archive.corrupt");
  CHECK(Reason(Patched(tar, 156, "Z")) == "archive.entry");
  CHECK(Reason(Patched(tar, 156, "M")) == "archive.entry");
  CHECK(Reason(Patched(tar, 0, std::string_view("\0\0\0\0", 4))) == "archive.corrupt");  // no name
  CHECK(Reason("this is no tar at all" + std::string(600, 'x')) == "archive.corrupt");
  CHECK(Reason(std::string(512, '\0') + tar) == "archive.corrupt");  // a lone block of zeros
  CHECK(ReadTar("").ok());
  CHECK(ReadTar(std::string(512, '\0')).ok());
}

std::string WithPax(const std::string& records, char flag = 'x') {
  const std::string file = WriteTar({{{.path = "file", .size = 5, .mode = 0644}, "hello"}});
  std::string head = file.substr(0, 512);
  char size[13];
  std::snprintf(size, sizeof size, "%011zo", records.size());
  head = Patched(Patched(head, 124, std::string_view(size, 11)), 156, std::string(1, flag));
  std::string body = records;
  body.resize((body.size() + 511) / 512 * 512);
  return head + body + file;
}

std::string Record(const std::string& key, const std::string& value) {
  size_t length = key.size() + value.size() + 3;
  while (std::to_string(length).size() + key.size() + value.size() + 3 != length) ++length;
  return std::to_string(length) + " " + key + "=" + value + "\n";
}

TEST_CASE("tar: PAX records are applied, kept or refused", "[base][archive]") {
  std::vector<Item> items = Must(WithPax(
      Record("path", "other/\xff") + Record("mtime", "-1.25") + Record("uid", "77") +
      Record("SCHILY.xattr.user.e", "") + Record("VENDOR.key", "v") + Record("comment", "c") +
      Record("LIBARCHIVE.xattr.user.%41", "aGk") + Record("uname", "")));
  REQUIRE(items.size() == 1);
  const TarEntry& e = items[0].entry;
  CHECK(e.path == "other/\xff");
  CHECK(e.mtime == TarTime{-2, 750000000});
  CHECK(e.uid == 77);
  CHECK(e.xattrs ==
        std::vector<std::pair<std::string, std::string>>{{"user.e", ""}, {"user.A", "hi"}});
  CHECK(e.pax == std::vector<std::pair<std::string, std::string>>{{"VENDOR.key", "v"}});
  CHECK(e.header_offset == 0);
  CHECK(items[0].bytes == "hello");
  // A later record of the same name wins; global records do not reach entries.
  CHECK(Must(WithPax(Record("path", "a") + Record("path", "b")))[0].entry.path == "b");
  CHECK(Must(WithPax(Record("path", "evil"), 'g'))[0].entry.path == "file");
  for (const std::string& bad :
       {std::string("x"),
        std::string("5 a=b\n"),
        std::string("99 path=x\n"),
        std::string("9 path=x\x20"),
        std::string("0 a=b\n"),
        std::string("6 =ab\n"),
        std::string("8 nokey\n"),
        Record("uid", "-1"),
        Record("uid", "x"),
        Record("size", "1e3"),
        Record("size", "9223372036854775807"),
        Record("size", "99999999999999999999"),
        Record("mtime", "soon"),
        Record("path", std::string("a\0b", 3)),
        Record("SCHILY.xattr.", "v"),
        Record("LIBARCHIVE.xattr.a", "!!"),
        Record("GNU.sparse.map", "0,5") /* no size */,
        Record("GNU.sparse.size", "10") + Record("GNU.sparse.map", "0,3,2,2") /* overlap */,
        Record("GNU.sparse.size", "4") + Record("GNU.sparse.map", "0,5") /* past the end */,
        Record("GNU.sparse.size", "9") + Record("GNU.sparse.map", "0,4") /* too little */,
        Record("GNU.sparse.size", "9") + Record("GNU.sparse.map", "0,4,5"),
        Record("GNU.sparse.numbytes", "4"),
        Record("GNU.sparse.major", "1") + Record("GNU.sparse.realsize", "9")}) {
    INFO(bad);
    CHECK(Reason(WithPax(bad)) == "archive.corrupt");
  }
  CHECK(Must(WithPax(Record("GNU.sparse.size", "9") + Record("GNU.sparse.map", "1,2,5,3")))[0]
            .bytes == std::string("\0he\0\0llo\0", 9));
}

TEST_CASE("tar: limits stop long names, attributes, counts and sums", "[base][archive]") {
  Limits limits;
  auto limit_hit = [&](const std::string& tar) {
    return std::string(GetError(ReadTar(tar, Engine::kLean, SIZE_MAX, false, &limits).status())
                           .Detail("limit.name"));
  };
  const std::string tar = WriteTar(EveryKind());
  CHECK(limit_hit(tar).empty());
  limits.path_bytes = 399;
  CHECK(limit_hit(tar) == "path_bytes");
  limits = Limits();
  limits.xattr_bytes = 20;
  CHECK(limit_hit(tar) == "xattr_bytes");
  limits = Limits();
  limits.unpacked_files = 12;
  CHECK(limit_hit(tar) == "unpacked_files");
  limits.unpacked_files = 13;
  CHECK(limit_hit(tar).empty());
  limits.unpacked_bytes = 5000;
  CHECK(limit_hit(tar) == "unpacked_bytes");
  limits = Limits();
  limits.xattr_bytes = 0;
  CHECK(limit_hit(WithPax(std::string(1100000, 'x'))) == "xattr_bytes");
  // A hole counts as what it unpacks to.
  limits = Limits();
  limits.unpacked_bytes = 1000000;
  CHECK(limit_hit(WithPax(Record("GNU.sparse.size", "2000000") +
                          Record("GNU.sparse.map", "0,5"))) == "unpacked_bytes");
}

TEST_CASE("tar: what follows the end mark is drained and told", "[base][archive]") {
  const std::string tar = WriteTar({{{.path = "f", .size = 1}, "x"}});
  for (const auto& [tail, dirty] : {std::pair{std::string(), false},
                                    {std::string(9000, '\0'), false},
                                    {std::string(9000, '\0') + "x", true},
                                    {WriteTar({{{.path = "hidden"}, ""}}), true}}) {
    Op op;
    auto r = *TarReader::Open(op, std::make_unique<StringReader>(tar + tail));
    REQUIRE(*r->Next() != nullptr);
    CHECK(*r->Next() == nullptr);
    CHECK(*r->Next() == nullptr);
    REQUIRE(r->Drain().ok());
    CHECK(r->TrailingData() == dirty);
  }
}

}  // namespace
}  // namespace coaming::base
