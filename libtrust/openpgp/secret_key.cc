#include "libtrust/openpgp/secret_key.h"

#include <algorithm>
#include <cstring>

#include "base/core/error.h"
#include "base/core/status_macros.h"
#include "libtrust/openpgp/armor.h"
#include "libtrust/openpgp/s2k.h"

namespace coaming::trust::openpgp {

using base::DigestAlgorithm;
using base::Fail;
using internal::AppendSubpacket;
using internal::KeyPacket;

namespace internal {

void AppendSubpacket(uint8_t type, std::string_view body, std::string* out) {
  size_t size = body.size() + 1;
  if (size < 192) {
    out->push_back(static_cast<char>(size));
  } else {
    out->push_back('\xff');
    AppendU32(static_cast<uint32_t>(size), out);
  }
  out->push_back(static_cast<char>(type));
  out->append(body);
}

DigestAlgorithm DefaultHash(KeyType type) {
  switch (type) {
    case KeyType::kEcdsaP384: return DigestAlgorithm::kSha384;
    case KeyType::kEcdsaP521: return DigestAlgorithm::kSha512;
    default: return DigestAlgorithm::kSha256;
  }
}

namespace {

uint8_t AlgorithmOf(KeyType type) {
  switch (type) {
    case KeyType::kRsa: return kRsa;
    case KeyType::kEcdsaP256:
    case KeyType::kEcdsaP384:
    case KeyType::kEcdsaP521: return kEcdsa;
    case KeyType::kEd25519: return kEddsaLegacy;
    default: return 0;
  }
}

absl::StatusOr<std::string> SignNumbers(const KeyPacket& signer, const PrivateKey& secret,
                                        DigestAlgorithm hash, std::string_view digest) {
  std::string out;
  switch (signer.algorithm) {
    case kRsa:
    case kRsaSignOnly: {
      COAM_ASSIGN_OR_RETURN(std::string value, secret.SignRsaPkcs1(hash, digest));
      AppendMpi(value, &out);
      return out;
    }
    case kEcdsa:
    case kEddsaLegacy: {
      absl::StatusOr<std::string> raw =
          signer.algorithm == kEcdsa ? secret.SignEcdsaRaw(digest) : secret.SignEd25519(digest);
      COAM_RETURN_IF_ERROR(raw.status());
      AppendMpi(std::string_view(*raw).substr(0, raw->size() / 2), &out);
      AppendMpi(std::string_view(*raw).substr(raw->size() / 2), &out);
      return out;
    }
    case kEd25519Algorithm: return secret.SignEd25519(digest);
    default: return Fail("sig.unsupported") << "sign with " << AlgorithmName(signer.algorithm);
  }
}

}  // namespace

absl::StatusOr<std::string> MakeSignature(const KeyPacket& signer, const PrivateKey& secret,
                                          const SignatureParts& parts, base::Hasher hasher) {
  std::string area;
  AppendSubpacket(33, absl::StrCat("\x04", signer.fingerprint), &area);
  std::string time;
  AppendU32(static_cast<uint32_t>(parts.created), &time);
  AppendSubpacket(2, time, &area);
  area += parts.hashed;
  std::string unhashed;
  AppendSubpacket(16, signer.key_id, &unhashed);
  unhashed += parts.unhashed;
  SignaturePacket packet;
  packet.version = 4;
  packet.hash = HashIdOf(parts.hash);
  packet.hashed = {'\x04', static_cast<char>(parts.type), static_cast<char>(signer.algorithm),
                   static_cast<char>(packet.hash)};
  if (area.size() > 65535 || unhashed.size() > 65535)
    return Fail("core.invalid_argument") << "signature with too much in it";
  AppendU16(static_cast<uint32_t>(area.size()), &packet.hashed);
  packet.hashed += area;
  packet.HashTrailer(&hasher);
  std::string digest = hasher.FinishBytes();
  COAM_ASSIGN_OR_RETURN(std::string numbers, SignNumbers(signer, secret, parts.hash, digest));
  std::string out = std::move(packet.hashed);
  AppendU16(static_cast<uint32_t>(unhashed.size()), &out);
  out += unhashed;
  out += digest.substr(0, 2);
  out += numbers;
  return out;
}

absl::StatusOr<std::string> PublicBody(const PublicKey& key, int64_t created) {
  std::string out = "\x04";
  AppendU32(static_cast<uint32_t>(created), &out);
  uint8_t algorithm = AlgorithmOf(key.type());
  if (algorithm == 0)
    return Fail("sig.key_invalid") << "make a key of type " << KeyTypeName(key.type());
  out.push_back(static_cast<char>(algorithm));
  if (key.type() == KeyType::kRsa) {
    AppendMpi(key.RsaModulus(), &out);
    AppendMpi(key.RsaExponent(), &out);
    return out;
  }
  std::string_view oid = CurveOid(key.type());
  out.push_back(static_cast<char>(oid.size()));
  out += oid;
  AppendMpi(key.type() == KeyType::kEd25519 ? absl::StrCat("\x40", key.Raw()) : key.Raw(), &out);
  return out;
}

absl::StatusOr<SecretBytes> SecretNumbers(const PrivateKey& key) {
  std::string out;
  if (key.type() == KeyType::kRsa) {
    COAM_ASSIGN_OR_RETURN(PrivateKey::RsaParts parts, key.RsaSecret());
    out.reserve(4 * parts.d.size() + 64);  // never grows: no copy is left behind
    for (const SecretBytes* n : {&parts.d, &parts.p, &parts.q, &parts.u})
      AppendMpi(n->view(), &out);
  } else {
    SecretBytes scalar = key.Scalar();
    if (scalar.empty()) return Fail("core.no_memory") << "secret key";
    out.reserve(scalar.size() + 64);
    AppendMpi(scalar.view(), &out);
  }
  SecretBytes secret = SecretBytes::Copy(out);
  WipeString(&out);
  return secret;
}

absl::StatusOr<PrivateKey> ReadSecretNumbers(const KeyPacket& key, std::string_view numbers) {
  Bytes in(numbers);
  absl::StatusOr<PrivateKey> out;
  switch (key.algorithm) {
    case kRsa:
    case kRsaSignOnly: {
      std::string_view d = in.Mpi(), p = in.Mpi(), q = in.Mpi();
      in.Mpi();
      if (!in.ok()) break;
      out = PrivateKey::Rsa(key.key.RsaModulus(), key.key.RsaExponent(), d, p, q);
      break;
    }
    case kEcdsa:
    case kEddsaLegacy: {
      std::string_view scalar = in.Mpi();
      if (!in.ok()) break;
      if (key.algorithm == kEcdsa) {
        out = PrivateKey::Ecdsa(key.key.type(), scalar);
        break;
      }
      if (scalar.size() > 32) return Fail("sig.key_invalid") << "OpenPGP secret key is damaged";
      SecretBytes seed(32);
      if (seed.empty()) return Fail("core.no_memory") << "secret key";
      memcpy(seed.data() + 32 - scalar.size(), scalar.data(), scalar.size());
      out = PrivateKey::Ed25519(seed.view());
      break;
    }
    case kEd25519Algorithm: out = PrivateKey::Ed25519(in.Take(32)); break;
    default:
      return Fail("sig.unsupported") << "OpenPGP secret key of " << AlgorithmName(key.algorithm);
  }
  if (!in.ok()) return Fail("sig.key_invalid") << "OpenPGP secret key is damaged";
  COAM_RETURN_IF_ERROR(out.status());
  if (!(out->public_key() == key.key))
    return Fail("sig.key_invalid") << "OpenPGP secret key does not belong to its public part";
  return out;
}

}  // namespace internal

SecretKey::SecretKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SecretKey::SecretKey(SecretKey&&) noexcept = default;
SecretKey& SecretKey::operator=(SecretKey&&) noexcept = default;
SecretKey::~SecretKey() = default;

const PrivateKey* SecretKey::Impl::Find(int key) const {
  for (const Held& h : held)
    if (h.key == key) return &h.secret;
  return nullptr;
}

absl::StatusOr<const SecretKey::Impl::Held*> SecretKey::Impl::Signer(int64_t time) const {
  Policy policy;
  policy.min_rsa_bits = 1024;
  policy.sha1_self_signatures_before = INT64_MAX;
  policy.allow_direct_key_v4 = true;
  const internal::CertificateData& data = certificate.data();
  const Held* best = nullptr;
  SignatureStatus why = SignatureStatus::kKeyUnusable;
  std::string message = "it holds no secret key that may sign";
  for (const Held& h : held) {
    SignatureStatus status;
    std::string text;
    internal::JudgeTime(internal::JudgeKey(data, h.key, Keyring(), policy, time), time, policy,
                        time, &status, &text);
    if (status != SignatureStatus::kGood) {
      if (h.key < 0 || !text.empty()) {
        why = status;
        message = text;
      }
      continue;
    }
    if (best == nullptr || (h.key >= 0 && (best->key < 0 || data.KeyAt(h.key).created >=
                                                                data.KeyAt(best->key).created)))
      best = &h;
  }
  if (best == nullptr)
    return Fail(StatusReason(why)) << "sign with key " << data.fingerprint << ": " << message;
  return best;
}

const Certificate& SecretKey::certificate() const { return impl_->certificate; }
const std::string& SecretKey::fingerprint() const { return impl_->certificate.fingerprint(); }

std::string SecretKey::signing_fingerprint() const {
  const internal::CertificateData& data = impl_->certificate.data();
  int64_t newest = data.primary.created;
  for (const internal::Subkey& s : data.subkeys) newest = std::max(newest, s.key.created);
  auto signer = impl_->Signer(newest);
  return signer.ok() ? base::HexEncode(data.KeyAt((*signer)->key).fingerprint) : "";
}

absl::StatusOr<SecretKey> SecretKey::Generate(const GenerateOptions& options) {
  const StackWipe wipe_stack;
  using internal::CertificateData;
  if (options.user_id.empty() || options.user_id.size() > 2048)
    return Fail("core.invalid_argument") << "make a key: the user id is empty or too long";
  if (options.created <= 0 || options.created > UINT32_MAX || options.valid_s < 0 ||
      options.valid_s > UINT32_MAX)
    return Fail("core.invalid_argument") << "make a key: a time is out of range";
  COAM_ASSIGN_OR_RETURN(PrivateKey primary, PrivateKey::Generate(options.type, options.rsa_bits));
  COAM_ASSIGN_OR_RETURN(std::string body,
                        internal::PublicBody(primary.public_key(), options.created));
  COAM_ASSIGN_OR_RETURN(KeyPacket packet, internal::ParseKeyPacket(body, nullptr));
  DigestAlgorithm hash = internal::DefaultHash(options.type);
  std::string expiry;
  if (options.valid_s != 0) internal::AppendU32(static_cast<uint32_t>(options.valid_s), &expiry);

  std::string data;
  packet.AppendHashed(&data);
  std::string primary_data = data;
  data.push_back('\xb4');
  internal::AppendU32(static_cast<uint32_t>(options.user_id.size()), &data);
  data += options.user_id;
  internal::SignatureParts parts;
  parts.type = 0x13;
  parts.hash = hash;
  parts.created = options.created;
  AppendSubpacket(27, options.signing_subkey ? "\x01" : "\x03", &parts.hashed);
  if (!expiry.empty()) AppendSubpacket(9, expiry, &parts.hashed);
  AppendSubpacket(25, "\x01", &parts.hashed);
  AppendSubpacket(11, "\x09\x08\x07", &parts.hashed);
  AppendSubpacket(21, "\x0a\x09\x08", &parts.hashed);
  AppendSubpacket(22, "\x02\x01", &parts.hashed);
  AppendSubpacket(30, "\x01", &parts.hashed);
  AppendSubpacket(23, "\x80", &parts.hashed);
  base::Hasher hasher(hash);
  hasher.Update(data);
  COAM_ASSIGN_OR_RETURN(std::string binding,
                        internal::MakeSignature(packet, primary, parts, hasher));
  std::string bytes;
  internal::AppendPacket(internal::kTagPublicKey, body, &bytes);
  internal::AppendPacket(internal::kTagUserId, options.user_id, &bytes);
  internal::AppendPacket(internal::kTagSignature, binding, &bytes);

  PrivateKey subkey;
  if (options.signing_subkey) {
    COAM_ASSIGN_OR_RETURN(subkey, PrivateKey::Generate(options.type, options.rsa_bits));
    COAM_ASSIGN_OR_RETURN(std::string sub_body,
                          internal::PublicBody(subkey.public_key(), options.created));
    COAM_ASSIGN_OR_RETURN(KeyPacket sub_packet, internal::ParseKeyPacket(sub_body, nullptr));
    data = primary_data;
    sub_packet.AppendHashed(&data);
    hasher.Reset();
    hasher.Update(data);
    internal::SignatureParts back;
    back.type = 0x19;
    back.hash = hash;
    back.created = options.created;
    COAM_ASSIGN_OR_RETURN(std::string back_body,
                          internal::MakeSignature(sub_packet, subkey, back, hasher));
    internal::SignatureParts bind;
    bind.type = 0x18;
    bind.hash = hash;
    bind.created = options.created;
    AppendSubpacket(27, "\x02", &bind.hashed);
    if (!expiry.empty()) AppendSubpacket(9, expiry, &bind.hashed);
    AppendSubpacket(32, back_body, &bind.unhashed);
    COAM_ASSIGN_OR_RETURN(std::string bind_body,
                          internal::MakeSignature(packet, primary, bind, hasher));
    internal::AppendPacket(internal::kTagPublicSubkey, sub_body, &bytes);
    internal::AppendPacket(internal::kTagSignature, bind_body, &bytes);
  }
  COAM_ASSIGN_OR_RETURN(std::vector<Certificate> read, internal::ReadCertificates(bytes, nullptr));
  auto impl = std::make_unique<Impl>(read[0]);
  impl->held.push_back({-1, std::move(primary)});
  if (options.signing_subkey) impl->held.push_back({0, std::move(subkey)});
  return SecretKey(std::move(impl));
}

absl::StatusOr<SecretKey> SecretKey::FromBytes(std::string_view bytes, std::string_view passphrase,
                                               const base::Limits* limits) {
  const StackWipe wipe_stack;
  const base::Limits defaults;
  int64_t max = (limits != nullptr ? *limits : defaults).keyring_bytes;
  if (static_cast<int64_t>(bytes.size()) > max)
    return base::FailLimit("keyring_bytes", max) << "secret key file";
  auto opened = Dearmor(bytes, ArmorKind::kPrivateKey);
  if (!opened.ok())
    return (Fail("sig.key_invalid") << base::GetError(opened.status()).message)
        .Hint("name a secret key file, as gpg --export-secret-keys writes");
  std::vector<internal::SecretPacket> secrets;
  auto read = internal::ReadCertificates(*opened, &secrets);
  auto wipe = [&] {
    WipeString(&*opened);
    for (internal::SecretPacket& s : secrets) WipeString(&s.secret_part);
  };
  if (!read.ok() || secrets.empty()) {
    wipe();
    if (!read.ok()) return read.status();
    return Fail("sig.key_invalid") << "the file holds no secret key";
  }
  int wanted = secrets[0].index;
  auto impl = std::make_unique<Impl>((*read)[static_cast<size_t>(wanted)]);
  const internal::CertificateData& data = impl->certificate.data();
  absl::Status failure;
  for (const internal::SecretPacket& s : secrets) {
    if (s.index != wanted) break;
    const KeyPacket& key = data.KeyAt(s.key);
    bool signs =
        key.version == 4 && key.key.type() != KeyType::kNone && key.key.type() != KeyType::kDsa;
    if (!signs) {
      impl->kept.push_back({s.key, SecretBytes::Copy(s.secret_part)});
      continue;
    }
    auto plain = internal::OpenSecretPart(s.secret_part, passphrase);
    if (!plain.ok()) {
      failure = plain.status();
      break;
    }
    if (!plain->has_value()) {
      impl->kept.push_back({s.key, SecretBytes::Copy(s.secret_part)});
      continue;
    }
    auto secret = internal::ReadSecretNumbers(key, (*plain)->view());
    if (!secret.ok()) {
      failure = secret.status();
      break;
    }
    impl->held.push_back({s.key, *std::move(secret)});
  }
  wipe();
  COAM_RETURN_IF_ERROR(failure);
  if (impl->held.empty())
    return Fail("sig.unsupported")
           << "the secret key " << data.fingerprint << " holds no part that can sign here";
  return SecretKey(std::move(impl));
}

absl::StatusOr<SecretBytes> SecretKey::Export(std::string_view passphrase, bool armor) const {
  const StackWipe wipe_stack;
  internal::PacketReader reader(impl_->certificate.bytes());
  internal::Packet packet;
  std::string out;
  out.reserve(impl_->certificate.bytes().size() * 4 + (64 << 10));
  int key = -2;
  absl::Status failure;
  while (!reader.done() && failure.ok()) {
    failure = reader.Next(&packet);
    if (!failure.ok()) break;
    bool is_key = packet.tag == internal::kTagPublicKey || packet.tag == internal::kTagPublicSubkey;
    if (!is_key) {
      out += packet.whole;
      continue;
    }
    key = packet.tag == internal::kTagPublicKey ? -1 : std::max(key + 1, 0);
    std::string body(packet.body());
    body.reserve(body.size() + 16384);
    const PrivateKey* secret = impl_->Find(key);
    bool has = secret != nullptr;
    if (has) {
      auto numbers = internal::SecretNumbers(*secret);
      failure = numbers.ok() ? internal::AppendSecretPart(numbers->view(), passphrase, &body)
                             : numbers.status();
    }
    for (const Impl::Kept& kept : impl_->kept) {
      if (kept.key != key) continue;
      body += kept.part.view();
      has = true;
    }
    uint8_t tag = packet.tag;
    if (has)
      tag = tag == internal::kTagPublicKey ? internal::kTagSecretKey : internal::kTagSecretSubkey;
    internal::AppendPacket(tag, body, &out);
    WipeString(&body);
  }
  if (!failure.ok()) {
    WipeString(&out);
    return failure;
  }
  std::string text = armor ? ArmorEncode(ArmorKind::kPrivateKey, out) : out;
  SecretBytes result = SecretBytes::Copy(text);
  WipeString(&out);
  WipeString(&text);
  if (result.empty()) return Fail("core.no_memory") << "export a secret key";
  return result;
}

}  // namespace coaming::trust::openpgp
