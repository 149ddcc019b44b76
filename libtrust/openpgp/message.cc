// Inline and cleartext signed messages (RFC 9580 sections 10.3 and 7).
#include <span>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "base/stream/compression.h"
#include "base/stream/stream.h"
#include "libtrust/openpgp/armor.h"
#include "libtrust/openpgp/inflate.h"
#include "libtrust/openpgp/judge.h"

namespace coaming::trust::openpgp {

using base::Fail;
using internal::Packet;
using internal::PacketReader;

namespace {

constexpr int kMaxNesting = 4;

absl::Status Bad(std::string_view why) {
  return Fail("sig.malformed") << "OpenPGP message: " << why;
}

struct Parts {
  int one_pass = 0;
  bool literal = false;
  std::string content;
  std::vector<std::string> signatures;  // bodies
};

absl::Status ReadParts(std::string_view bytes, int depth, int64_t max, const base::Op& op,
                       Parts* out) {
  PacketReader reader(bytes);
  Packet packet;
  bool compressed = false;
  while (!reader.done()) {
    COAM_RETURN_IF_ERROR(reader.Next(&packet));
    if (compressed) return Bad("data after the compressed packet");
    switch (packet.tag) {
      case internal::kTagOnePass:
        if (out->literal || !out->signatures.empty())
          return Bad("a one-pass packet after a signature or the content");
        ++out->one_pass;
        break;
      case internal::kTagSignature:
        if (out->signatures.size() >= internal::kMaxDocumentSignatures)
          return base::FailLimit("signatures", internal::kMaxDocumentSignatures)
                 << "OpenPGP message";
        if (!out->literal && out->one_pass != 0)
          return Bad("a signature before the content that a one-pass packet announced");
        out->signatures.emplace_back(packet.body());
        break;
      case internal::kTagLiteral: {
        if (out->literal) return Bad("two contents in one message");
        internal::Bytes in(packet.body());
        in.U8();
        in.Take(in.U8());
        in.U32();
        if (!in.ok()) return Bad("the content packet is cut short");
        if (static_cast<int64_t>(in.rest().size()) > max)
          return base::FailLimit("message_bytes", max) << "OpenPGP message";
        out->literal = true;
        out->content = std::string(in.rest());
        break;
      }
      case internal::kTagCompressed: {
        if (depth >= kMaxNesting) return Bad("nested too deep");
        if (out->literal || out->one_pass != 0 || !out->signatures.empty())
          return Bad("a compressed packet beside signatures");
        COAM_ASSIGN_OR_RETURN(std::string inner, internal::Inflate(packet.body(), max, op));
        COAM_RETURN_IF_ERROR(ReadParts(inner, depth + 1, max, op, out));
        compressed = true;
        break;
      }
      case internal::kTagMarker:
      case internal::kTagPadding: break;
      default:
        if (packet.tag < 40)
          return Bad(absl::StrCat("a packet of type ", int{packet.tag}, " has no place here"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSize(std::string_view message, int64_t max) {
  // Armor and framing add to the content; twice and a megabyte is ample.
  if (static_cast<int64_t>(message.size()) > 2 * max + (1 << 20))
    return base::FailLimit("message_bytes", max)
           << "OpenPGP message of " << message.size() << " bytes";
  return absl::OkStatus();
}

// Takes one line without its end off the front; false at the end.
bool NextLine(std::string_view* text, std::string_view* line) {
  if (text->empty()) return false;
  size_t end = text->find('\n');
  *line = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  if (!line->empty() && line->back() == '\r') line->remove_suffix(1);
  return true;
}

std::string_view TrimEnd(std::string_view line) {
  while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r'))
    line.remove_suffix(1);
  return line;
}

}  // namespace

absl::StatusOr<Message> VerifyInline(std::string_view message, const Keyring& keys,
                                     const Policy& policy, const base::Op& op,
                                     int64_t max_content) {
  COAM_RETURN_IF_ERROR(CheckSize(message, max_content));
  if (message.empty()) return Fail("sig.unsigned") << "the message is empty";
  COAM_ASSIGN_OR_RETURN(std::string bytes, Dearmor(message, ArmorKind::kMessage));
  Parts parts;
  COAM_RETURN_IF_ERROR(ReadParts(bytes, 0, max_content, op, &parts));
  if (!parts.literal) return Bad("it has no content");
  if (parts.signatures.empty()) return Fail("sig.unsigned") << "the message is not signed";
  if (parts.one_pass != 0 && parts.one_pass != static_cast<int>(parts.signatures.size()))
    return Bad("one-pass packets and signatures differ in number");
  internal::DocumentJudge judge(keys, policy, op.clock().RealtimeNs() / 1000000000);
  for (const std::string& body : parts.signatures) COAM_RETURN_IF_ERROR(judge.AddSignature(body));
  judge.Update(parts.content);
  Message out;
  out.verdict = judge.Finish();
  if (out.verdict.ok()) out.content = std::move(parts.content);
  return out;
}

absl::StatusOr<Message> VerifyCleartext(std::string_view message, const Keyring& keys,
                                        const Policy& policy, const base::Op& op) {
  COAM_RETURN_IF_ERROR(CheckSize(message, op.limits().manifest_bytes));
  std::string_view text = message, line;
  do {
    if (!NextLine(&text, &line)) return Bad("no cleartext signed message");
  } while (TrimEnd(line).empty());
  if (TrimEnd(line) != "-----BEGIN PGP SIGNED MESSAGE-----")
    return Bad("text before the cleartext signed message");
  for (;;) {
    if (!NextLine(&text, &line)) return Bad("cut short in its headers");
    if (line.empty()) break;
    if (!absl::StartsWith(line, "Hash: ")) return Bad("a header other than Hash");
    for (std::string_view name : absl::StrSplit(line.substr(6), ','))
      for (char c : name)
        if (!absl::ascii_isalnum(c) && c != '-' && c != ' ') return Bad("a malformed Hash header");
  }
  std::string content;
  bool first = true;
  for (;;) {
    // The signature block must follow; its text starts at this line.
    std::string_view here = text;
    if (!NextLine(&text, &line)) return Bad("no signature follows the text");
    if (TrimEnd(line) == "-----BEGIN PGP SIGNATURE-----") {
      text = here;
      break;
    }
    if (absl::StartsWith(line, "-")) {
      if (!absl::StartsWith(line, "- ")) return Bad("a line starts with a dash and is not escaped");
      line.remove_prefix(2);
    }
    for (char c : line)
      if (c == '\f' || c == '\v' || c == '\0') return Bad("the text holds a control character");
    if (!first) content += '\n';
    first = false;
    absl::StrAppend(&content, TrimEnd(line));
  }
  constexpr std::string_view kEnd = "-----END PGP SIGNATURE-----";
  size_t end = text.find(kEnd);
  if (end == std::string_view::npos) return Bad("the signature is cut short");
  if (text.find_first_not_of(" \t\r\n", end + kEnd.size()) != std::string_view::npos)
    return Bad("text after the signature");
  COAM_ASSIGN_OR_RETURN(std::string bytes, Dearmor(text, ArmorKind::kSignature));
  internal::DocumentJudge judge(keys, policy, op.clock().RealtimeNs() / 1000000000);
  PacketReader reader(bytes);
  Packet packet;
  while (!reader.done()) {
    COAM_RETURN_IF_ERROR(reader.Next(&packet));
    if (packet.tag != internal::kTagSignature) return Bad("more than signatures at its end");
    COAM_RETURN_IF_ERROR(judge.AddSignature(packet.body(), /*only_text=*/true));
  }
  judge.Update(content);
  Message out;
  out.verdict = judge.Finish();
  if (out.verdict.ok()) out.content = std::move(content);
  return out;
}

}  // namespace coaming::trust::openpgp
