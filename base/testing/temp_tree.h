// TempTree is a directory under /tmp for one test, with helpers to fill and to look at it. Removed when
// it dies. Tests only: it uses std::filesystem and may.
#ifndef COAMING_BASE_TESTING_TEMP_TREE_H_
#define COAMING_BASE_TESTING_TEMP_TREE_H_

#include <string>
#include <string_view>
#include <vector>

namespace coaming::base::testing {

class TempTree {
 public:
  TempTree();
  ~TempTree();
  TempTree(const TempTree&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view relative) const;
  // Each makes missing parents and returns the whole path.
  std::string Write(std::string_view relative, std::string_view bytes, int mode = 0644) const;
  std::string MakeDir(std::string_view relative, int mode = 0755) const;
  std::string Symlink(std::string_view target, std::string_view relative) const;
  std::string Read(std::string_view relative) const;  // "" if there is none
  bool Exists(std::string_view relative) const;       // lstat
  // One line per entry, sorted: "d 0755 a", "f 0644 3 a/b", "l a/c -> /x", for golden comparison.
  std::vector<std::string> Listing(bool with_modes = true) const;

 private:
  std::string path_;
};

}  // namespace coaming::base::testing

#endif  // COAMING_BASE_TESTING_TEMP_TREE_H_
