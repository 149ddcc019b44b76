#include "libtrust/openpgp/armor.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/core/error.h"
#include "libtrust/keys/secret.h"

namespace coaming::trust::openpgp {

using base::Fail;

namespace {

constexpr std::string_view kBegin = "-----BEGIN PGP ";
constexpr std::string_view kDashes = "-----";
constexpr ArmorKind kKinds[] = {ArmorKind::kSignature, ArmorKind::kPublicKey,
                                ArmorKind::kPrivateKey, ArmorKind::kMessage};

uint32_t Crc24(std::string_view bytes) {
  uint32_t crc = 0xb704ce;
  for (char c : bytes) {
    crc ^= static_cast<uint32_t>(static_cast<uint8_t>(c)) << 16;
    for (int i = 0; i < 8; ++i) {
      crc <<= 1;
      if (crc & 0x1000000) crc ^= 0x1864cfb;
    }
  }
  return crc & 0xffffff;
}

bool IsBase64(char c) { return absl::ascii_isalnum(c) || c == '+' || c == '/'; }

// Cuts one line, without its end and trailing blanks, off the front of `text`.
std::string_view Line(std::string_view* text) {
  size_t end = text->find('\n');
  std::string_view line = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
    line.remove_suffix(1);
  return line;
}

absl::Status Bad(std::string_view why) { return Fail("sig.malformed") << "OpenPGP armor: " << why; }

// Reads headers, data and end line of a block whose first line is read already.
absl::Status ReadBlock(std::string_view label, std::string_view* text, std::string* bytes) {
  for (;;) {
    if (text->empty()) return Bad("the block is cut short");
    std::string_view line = Line(text);
    if (line.empty()) break;
    if (line.find(": ") == std::string_view::npos && line.back() != ':')
      return Bad("a header line without a colon, or no blank line after the headers");
  }
  std::string base64;
  bool ended = false, crc = false;
  for (;;) {
    if (text->empty()) return Bad("the block has no end line");
    std::string_view line = Line(text);
    if (absl::StartsWith(line, kDashes)) {
      if (line != absl::StrCat("-----END ", label, kDashes))
        return Bad("another end line than due");
      break;
    }
    if (line.empty()) continue;
    if (crc) return Bad("data after the checksum");
    if (line[0] == '=' && line.size() == 5) {
      crc = true;
      continue;
    }
    for (char c : line) {
      if (c == '=') {
        ended = true;
      } else if (!IsBase64(c) || ended) {
        return Bad("a character that is not base64");
      }
    }
    absl::StrAppend(&base64, line);
  }
  bool padded_wrong = ended && base64.size() % 4 != 0;
  if (padded_wrong || !absl::Base64Unescape(base64, bytes)) return Bad("not base64");
  if (bytes->empty()) return Bad("the block is empty");
  return absl::OkStatus();
}

}  // namespace

std::string_view ArmorLabel(ArmorKind kind) {
  switch (kind) {
    case ArmorKind::kSignature: return "PGP SIGNATURE";
    case ArmorKind::kPublicKey: return "PGP PUBLIC KEY BLOCK";
    case ArmorKind::kPrivateKey: return "PGP PRIVATE KEY BLOCK";
    case ArmorKind::kMessage: return "PGP MESSAGE";
  }
  return "";
}

bool LooksArmored(std::string_view bytes) {
  if (bytes.empty() || (static_cast<uint8_t>(bytes[0]) & 0x80) != 0) return false;
  return absl::StartsWith(bytes, kBegin) ||
         bytes.find(absl::StrCat("\n", kBegin)) != std::string_view::npos;
}

std::string ArmorEncode(ArmorKind kind, std::string_view bytes) {
  std::string_view label = ArmorLabel(kind);
  std::string base64 = absl::Base64Escape(bytes);
  std::string out = absl::StrCat("-----BEGIN ", label, "-----\n\n");
  out.reserve(base64.size() + base64.size() / 64 + 100);
  for (size_t i = 0; i < base64.size(); i += 64)
    absl::StrAppend(&out, std::string_view(base64).substr(i, 64), "\n");
  WipeString(&base64);
  uint32_t crc = Crc24(bytes);
  const char sum[3] = {static_cast<char>(crc >> 16), static_cast<char>(crc >> 8),
                       static_cast<char>(crc)};
  absl::StrAppend(&out, "=", absl::Base64Escape(std::string_view(sum, 3)), "\n-----END ", label,
                  "-----\n");
  return out;
}

absl::StatusOr<std::vector<ArmorBlock>> ArmorDecode(std::string_view text) {
  std::vector<ArmorBlock> out;
  while (!text.empty()) {
    std::string_view line = Line(&text);
    if (!absl::StartsWith(line, kBegin)) continue;
    const ArmorKind* kind = nullptr;
    for (const ArmorKind& k : kKinds)
      if (line == absl::StrCat("-----BEGIN ", ArmorLabel(k), kDashes)) kind = &k;
    if (kind == nullptr) {
      if (line == "-----BEGIN PGP SIGNED MESSAGE-----")
        return Bad("a cleartext signed message where a block was expected");
      return Bad("a block with an unknown label");
    }
    if (out.size() >= 4096) return base::FailLimit("armor_blocks", 4096) << "OpenPGP armor";
    ArmorBlock block{*kind, ""};
    absl::Status status = ReadBlock(ArmorLabel(*kind), &text, &block.bytes);
    if (!status.ok()) return status;
    out.push_back(std::move(block));
  }
  if (out.empty()) return Bad("no block");
  return out;
}

absl::StatusOr<std::string> Dearmor(std::string_view bytes, ArmorKind kind) {
  if (!LooksArmored(bytes)) return std::string(bytes);
  auto blocks = ArmorDecode(bytes);
  if (!blocks.ok()) return blocks.status();
  std::string out;
  for (ArmorBlock& block : *blocks) {
    if (block.kind != kind)
      return Bad(absl::StrCat("found ", ArmorLabel(block.kind), " where ", ArmorLabel(kind),
                              " was expected"));
    if (!out.empty() && kind == ArmorKind::kSignature) return Bad("more than one block");
    out.append(block.bytes);
  }
  return out;
}

}  // namespace coaming::trust::openpgp
