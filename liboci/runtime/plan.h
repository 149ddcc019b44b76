// Plan is the flat list of numbered kernel steps that makes one container, before it is sealed.
//
// Isolators append steps; Encode gives the helper's wire form (launch/plan_format.h), Print a text
// for people and golden tests, Describe the words that an error needs. A plan holds no descriptors:
// it names slots, and says for each what the executor must put there. Pure data, no I/O.
// Ownership: a value. Threads: [single] while built, [immutable] after.
#ifndef COAMING_LIBOCI_RUNTIME_PLAN_H_
#define COAMING_LIBOCI_RUNTIME_PLAN_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "liboci/runtime/launch/plan_format.h"

namespace coaming::run {

class Plan {
 public:
  // What the executor opens for a slot.
  struct Slot {
    enum class Kind {
      kSync,
      kPlan,
      kListen,
      kNamespace,  // `path`, checked to be of type `arg` (CLONE_NEW*)
      kTree,       // a detached clone of what lies at `path`
      kPidfd,      // of the process that is joined
      kProc,       // the host's /proc
      kMonitor,    // descriptor `arg` of the monitor (COAM_MONITOR_*_FD)
      kNode,  // a detached device node: arg its number; mode with its type, uid, gid of the host
    };
    // Bits of `arg` of a kTree.
    static constexpr uint64_t kRecursive = 1, kNoFollow = 2, kMapRecursive = 4;
    Kind kind;
    std::string path;
    uint64_t arg = 0;
    // kTree with mapped ids: the texts of the maps, or a user namespace that has them.
    std::string uid_map, gid_map, user_namespace;
    bool maps_ids() const { return !uid_map.empty() || !user_namespace.empty(); }
    uint32_t mode = 0, uid = 0, gid = 0;
  };

  // Fills one step; the texts are copied into the plan.
  class Step {
   public:
    Step& Num(int index, uint64_t value);
    Step& Text(int index, std::string_view text);  // NUL is added; empty texts count as given
    Step& Bytes(int index, std::string_view bytes);
    Step& Words(int text_index, int count_index, const std::vector<std::string>& words);
    Step& Flags(uint32_t flags);

   private:
    friend class Plan;
    Step(Plan* plan, size_t index) : plan_(plan), index_(index) {}
    Plan* plan_;
    size_t index_;
  };

  Plan();
  Step Add(coam_op op);
  // AddSlot returns the number of a new slot.
  uint64_t AddSlot(Slot slot);

  // Namespaces that the spawn itself makes, before the first step.
  uint64_t spawn_flags = 0;
  // The process that is spawned is not the one that becomes the program (COAM_OP_CLONE).
  bool two_stage = false;

  size_t size() const { return steps_.size(); }
  bool Has(coam_op op) const;
  const std::vector<Slot>& slots() const { return slots_; }
  coam_op OpAt(size_t step) const;
  // TextAt is text `index` of a step, or empty.
  std::string_view TextAt(size_t step, int index) const;
  uint64_t NumAt(size_t step, int index) const { return steps_[step].n[index]; }

  // Encode renders the block for a helper whose own descriptors start at `fd_base`.
  std::string Encode(uint32_t fd_base) const;
  // Print gives one line a step: " 14  mount tmpfs on /dev/shm (nosuid,noexec,nodev; mode=1777)".
  std::string Print() const;
  // Describe says what step `index` does: "mounting tmpfs on /dev/shm".
  std::string Describe(size_t index) const;
  // ReasonAt is the reason (run.*) that its failure has.
  std::string_view ReasonAt(size_t index) const;

 private:
  std::string Details(size_t index) const;
  std::vector<coam_step> steps_;
  std::vector<Slot> slots_;
  std::string bytes_;
};

// NamespaceFlag gives CLONE_NEW* for a spec name ("network"), 0 for an unknown one.
uint64_t NamespaceFlag(std::string_view type);
// NamespaceNames renders a set: "pid,mount,network".
std::string NamespaceNames(uint64_t flags);

}  // namespace coaming::run

#endif  // COAMING_LIBOCI_RUNTIME_PLAN_H_
