// Test helpers for libcni: a network namespace of the test's own as "host", namespaces for
// containers, and a directory of plugins that are shell scripts. Tests only.
#ifndef COAMING_LIBCNI_TESTING_NETNS_H_
#define COAMING_LIBCNI_TESTING_NETNS_H_

#include <string>
#include <string_view>
#include <vector>

namespace coaming::cni::testing {

// TempDir makes a directory under /tmp and removes it with all it holds.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

std::string ReadFile(const std::string& path);  // "" if it cannot be read
void WriteFile(const std::string& path, std::string_view text, int mode = 0644);
bool Exists(const std::string& path);
std::vector<std::string> ListDir(const std::string& path);  // sorted, without . and ..

// WriteScript writes an executable /bin/sh script.
void WriteScript(const std::string& path, std::string_view body);

// HostNamespace moves the calling thread into a fresh network namespace with `lo` up and back at
// the end. ok() is false, with why(), if the machine does not allow it.
class HostNamespace {
 public:
  HostNamespace();
  ~HostNamespace();
  HostNamespace(const HostNamespace&) = delete;
  HostNamespace& operator=(const HostNamespace&) = delete;
  bool ok() const { return why_.empty(); }
  const std::string& why() const { return why_; }

 private:
  int old_ = -1;
  std::string why_;
};

// ContainerNamespace is a fresh network namespace known by a path, until it is destroyed.
class ContainerNamespace {
 public:
  ContainerNamespace();
  ~ContainerNamespace();
  ContainerNamespace(const ContainerNamespace&) = delete;
  ContainerNamespace& operator=(const ContainerNamespace&) = delete;
  const std::string& path() const { return path_; }
  // Shell runs a command line with /bin/sh inside and gives its output (both streams).
  std::string Shell(const std::string& command) const;
  void Destroy();

 private:
  int fd_ = -1;
  std::string path_;
};

// Shell runs a command line with /bin/sh in the thread's own namespace and gives its output (both
// streams); `status`, if not null, gets the exit status.
std::string Shell(const std::string& command, int* status = nullptr);

// HavePlugins is true if all the named programs are in /usr/lib/cni.
bool HavePlugins(std::initializer_list<std::string_view> names);

}  // namespace coaming::cni::testing

#endif  // COAMING_LIBCNI_TESTING_NETNS_H_
