#include "liboci/runtime/plan.h"

#include <cstring>
#include <utility>

namespace coaming::run {

Plan::Plan() {
  slots_.push_back({Slot::Kind::kSync, "", 0});
  slots_.push_back({Slot::Kind::kPlan, "", 0});
  slots_.push_back({Slot::Kind::kListen, "", 0});
  // Text offsets count from 1 here, so that 0 is "none"; Encode moves them to their place.
  bytes_.push_back('\0');
}

Plan::Step Plan::Add(coam_op op) {
  coam_step step = {};
  step.op = op;
  steps_.push_back(step);
  return Step(this, steps_.size() - 1);
}

uint64_t Plan::AddSlot(Slot slot) {
  slots_.push_back(std::move(slot));
  return slots_.size() - 1;
}

Plan::Step& Plan::Step::Num(int index, uint64_t value) {
  plan_->steps_[index_].n[index] = value;
  return *this;
}

Plan::Step& Plan::Step::Bytes(int index, std::string_view bytes) {
  std::string& all = plan_->bytes_;
  all.resize((all.size() + 7) & ~size_t{7}, '\0');
  plan_->steps_[index_].s[index] = static_cast<uint32_t>(all.size());
  all.append(bytes);
  return *this;
}

Plan::Step& Plan::Step::Text(int index, std::string_view text) {
  plan_->steps_[index_].s[index] = static_cast<uint32_t>(plan_->bytes_.size());
  plan_->bytes_.append(text);
  plan_->bytes_.push_back('\0');
  return *this;
}

Plan::Step& Plan::Step::Words(int text_index, int count_index,
                              const std::vector<std::string>& words) {
  plan_->steps_[index_].s[text_index] = static_cast<uint32_t>(plan_->bytes_.size());
  plan_->steps_[index_].n[count_index] = words.size();
  for (const std::string& word : words) plan_->bytes_.append(word).push_back('\0');
  plan_->bytes_.push_back('\0');
  return *this;
}

Plan::Step& Plan::Step::Flags(uint32_t flags) {
  plan_->steps_[index_].flags = flags;
  return *this;
}

bool Plan::Has(coam_op op) const {
  for (const coam_step& s : steps_)
    if (s.op == static_cast<uint32_t>(op)) return true;
  return false;
}

coam_op Plan::OpAt(size_t step) const {
  return step < steps_.size() ? static_cast<coam_op>(steps_[step].op) : COAM_OP_NONE;
}

std::string_view Plan::TextAt(size_t step, int index) const {
  uint32_t offset = steps_[step].s[index];
  return offset == 0 ? std::string_view() : std::string_view(bytes_.c_str() + offset);
}

std::string Plan::Encode(uint32_t fd_base) const {
  size_t head = sizeof(coam_plan_header) + steps_.size() * sizeof(coam_step);
  coam_plan_header header = {};
  header.magic = COAM_PLAN_MAGIC;
  header.version = COAM_PLAN_VERSION;
  header.nsteps = static_cast<uint32_t>(steps_.size());
  header.size = static_cast<uint32_t>(head + bytes_.size() + 1);
  header.fd_base = fd_base;
  header.nslots = static_cast<uint32_t>(slots_.size());
  std::string out(head, '\0');
  std::memcpy(out.data(), &header, sizeof header);
  char* at = out.data() + sizeof header;
  for (coam_step s : steps_) {
    for (uint32_t& offset : s.s)
      if (offset != 0) offset += static_cast<uint32_t>(head);
    std::memcpy(at, &s, sizeof s);
    at += sizeof s;
  }
  out += bytes_;
  out.push_back('\0');
  return out;
}

}  // namespace coaming::run
