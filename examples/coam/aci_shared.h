// What the commands for App Container images share.
#ifndef COAMING_EXAMPLES_COAM_ACI_SHARED_H_
#define COAMING_EXAMPLES_COAM_ACI_SHARED_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "examples/coam/cli.h"

namespace coam {

using AciStore = Handle<coam_aci_store, coam_aci_store_free>;
using AciClient = Handle<coam_aci_client, coam_aci_client_free>;
using AciBuilder = Handle<coam_aci_builder, coam_aci_builder_free>;
using SigKeyStore = Handle<coam_sig_keystore, coam_sig_keystore_free>;
using JsonDoc = Handle<coam_json, coam_json_free>;

// Each opens what the flags say and is null after a failure that it told.
// OpenImageStore: DIR/cas of --dir. OpenTrustedKeys: trustedkeys below --local-config and
// --system-config. OpenImageClient: --ca-file, --resolve, --insecure-options=tls.
AciStore OpenImageStore(Invocation& in);
SigKeyStore OpenTrustedKeys(Invocation& in);
AciClient OpenImageClient(Invocation& in, coam_sig_keystore* keys);

// Insecure is true if --insecure-options has the word, or one that includes it.
bool Insecure(const Invocation& in, std::string_view word);
// FetchImage fetches one image as --pull-policy (else `policy`) and the rest of the flags say and gives
// its ID; the exit code of a failure that it told, or 0.
int FetchImage(Invocation& in, coam_aci_client* client, coam_aci_store* store,
               const std::string& image, const std::string& signature, const std::string& policy,
               std::string* id);
// SetReview has keys that discovery finds for a name reviewed as rkt does: taken from https with
// --trust-keys-from-https, asked about on a terminal, refused otherwise.
void SetReview(Invocation& in, coam_aci_client* client);

// NewOptions makes options of `family` that take no flag by themselves.
Options NewOptions(Invocation& in, const char* family);
// SetOption is false after a failure that it told.
bool SetOption(Invocation& in, const Options& options, const char* key, const std::string& value);

JsonDoc ParseJson(Invocation& in, const Buf& text);
std::string JsonText(const JsonDoc& doc, const std::string& pointer);

std::vector<std::string> SplitAt(std::string_view text, char separator);
std::string Lower(std::string_view text);
// "12 MiB", "5.7 MiB", "2 minutes ago", "2026-11-25 02:15:57.000 +0000 UTC", as Go's humanize has them.
std::string GoBytes(int64_t bytes);
std::string GoAgo(int64_t ns);
std::string GoTime(int64_t ns);
// RemoveTree removes a directory of ours with all it holds.
void RemoveTree(const std::string& path);
// AskYes asks on the terminal until it hears yes or no; false at its end.
bool AskYes(const std::string& question);

}  // namespace coam

#endif  // COAMING_EXAMPLES_COAM_ACI_SHARED_H_
