#include "base/testing/temp_tree.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace coaming::base::testing {
namespace {

namespace stdfs = std::filesystem;

}  // namespace

TempTree::TempTree() {
  char name[] = "/tmp/coam-test-XXXXXX";
  if (mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp failed");
  path_ = name;
}

TempTree::~TempTree() {
  std::error_code ignored;
  // Directories without permission bits would stay.
  if (stdfs::remove_all(path_, ignored) == static_cast<std::uintmax_t>(-1)) {
    for (auto it = stdfs::recursive_directory_iterator(
             path_, stdfs::directory_options::skip_permission_denied, ignored);
         it != stdfs::recursive_directory_iterator(); it.increment(ignored)) {
      if (!it->is_symlink(ignored) && it->is_directory(ignored)) {
        chmod(it->path().c_str(), 0700);
      }
    }
    stdfs::remove_all(path_, ignored);
  }
}

std::string TempTree::operator/(std::string_view relative) const {
  return path_ + "/" + std::string(relative);
}

std::string TempTree::Write(std::string_view relative, std::string_view bytes, int mode) const {
  const std::string path = *this / relative;
  stdfs::create_directories(stdfs::path(path).parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  chmod(path.c_str(), static_cast<mode_t>(mode));
  return path;
}

std::string TempTree::MakeDir(std::string_view relative, int mode) const {
  const std::string path = *this / relative;
  stdfs::create_directories(path);
  chmod(path.c_str(), static_cast<mode_t>(mode));
  return path;
}

std::string TempTree::Symlink(std::string_view target, std::string_view relative) const {
  const std::string path = *this / relative;
  stdfs::create_directories(stdfs::path(path).parent_path());
  stdfs::create_symlink(target, path);
  return path;
}

std::string TempTree::Read(std::string_view relative) const {
  std::ifstream in(*this / relative, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

bool TempTree::Exists(std::string_view relative) const {
  struct stat st;
  return lstat((*this / relative).c_str(), &st) == 0;
}

std::vector<std::string> TempTree::Listing(bool with_modes) const {
  std::vector<std::string> lines;
  for (const auto& e : stdfs::recursive_directory_iterator(path_)) {
    struct stat st;
    if (lstat(e.path().c_str(), &st) != 0) continue;
    const std::string name = e.path().string().substr(path_.size() + 1);
    char mode[16] = "";
    if (with_modes && !S_ISLNK(st.st_mode)) {
      snprintf(mode, sizeof mode, "%04o ", static_cast<unsigned>(st.st_mode & 07777));
    }
    std::string line;
    if (S_ISDIR(st.st_mode)) {
      line = std::string("d ") + mode + name;
    } else if (S_ISLNK(st.st_mode)) {
      line = "l " + name + " -> " + stdfs::read_symlink(e.path()).string();
    } else if (S_ISREG(st.st_mode)) {
      line = std::string("f ") + mode + std::to_string(st.st_size) + " " + name;
    } else {
      line = std::string("o ") + mode + name;
    }
    lines.push_back(line);
  }
  std::sort(lines.begin(), lines.end(), [](const std::string& a, const std::string& b) {
    return a.substr(a.rfind(' ') + 1) < b.substr(b.rfind(' ') + 1);
  });
  return lines;
}

}  // namespace coaming::base::testing
