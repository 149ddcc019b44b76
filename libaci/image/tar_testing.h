// Images for tests: tars made entry by entry, well formed or not.
#ifndef COAMING_LIBACI_IMAGE_TAR_TESTING_H_
#define COAMING_LIBACI_IMAGE_TAR_TESTING_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/archive/tar.h"
#include "base/stream/compression.h"
#include "base/testing/status_testing.h"

namespace coaming::aci {

class TestTar {
 public:
  TestTar() : sink_(&bytes_), tar_(REQUIRE_VALUE(base::TarWriter::New(&sink_))) {}

  TestTar& Add(base::TarEntry entry, std::string_view data = "") {
    entry.size = static_cast<int64_t>(data.size());
    if (entry.mode == 0) entry.mode = entry.type == base::TarType::kDirectory ? 0755 : 0644;
    entry.mtime.seconds = 1000000000;
    REQUIRE_OK(tar_->AddFile(entry, data));
    return *this;
  }
  TestTar& File(std::string_view path, std::string_view data, uint32_t mode = 0644) {
    base::TarEntry e;
    e.path = std::string(path);
    e.mode = mode;
    return Add(e, data);
  }
  TestTar& Dir(std::string_view path, uint32_t mode = 0755) {
    return Kind(base::TarType::kDirectory, path, "", mode);
  }
  TestTar& Link(std::string_view path, std::string_view target) {
    return Kind(base::TarType::kSymlink, path, target, 0777);
  }
  TestTar& Hard(std::string_view path, std::string_view target) {
    return Kind(base::TarType::kHardlink, path, target, 0644);
  }
  TestTar& Kind(base::TarType type, std::string_view path, std::string_view link, uint32_t mode) {
    base::TarEntry e;
    e.type = type;
    e.path = std::string(path);
    e.link = std::string(link);
    e.mode = mode;
    return Add(e);
  }
  // Ends the archive; the object is used up.
  std::string Bytes() {
    REQUIRE_OK(tar_->Finish());
    return std::move(bytes_);
  }

 private:
  std::string bytes_;
  base::StringWriter sink_;
  std::unique_ptr<base::TarWriter> tar_;
};

// A manifest with `name`; `rest` is put in as further members (",\"labels\":[]").
inline std::string TestManifest(std::string_view name, std::string_view rest = "") {
  return absl::StrCat(R"({"acKind":"ImageManifest","acVersion":"0.8.11","name":")", name, "\"",
                      rest, "}");
}

inline std::string Pack(base::Compression id, std::string_view bytes) {
  std::string out;
  base::StringWriter sink(&out);
  auto writer = REQUIRE_VALUE(base::NewCompressor(id, &sink));
  REQUIRE_OK(writer->Write(bytes));
  REQUIRE_OK(writer->Close());
  return out;
}

}  // namespace coaming::aci

#endif  // COAMING_LIBACI_IMAGE_TAR_TESTING_H_
