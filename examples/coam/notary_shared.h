// What the words of `notary`, of `coam trust` and of signed pulls share: opening, passphrases, files.
#ifndef COAMING_EXAMPLES_COAM_NOTARY_SHARED_H_
#define COAMING_EXAMPLES_COAM_NOTARY_SHARED_H_

#include <string>
#include <string_view>
#include <vector>

#include "examples/coam/aci_shared.h"
#include "examples/coam/cli.h"

namespace coam {

using Notary = Handle<coam_notary, coam_notary_free>;

// OpenNotary opens with `options` of family "notary.open" (a null one fails) and has passphrases taken
// from the environment, or asked for on the terminal. `subject` is for the message.
int OpenNotary(Invocation& in, const Options& options, std::string_view subject, Notary* out);
// OpenTrust opens as docker would for an image: the server of --server, --content-trust or
// DOCKER_CONTENT_TRUST_SERVER, else the registry's host; the directory of --trust-dir or ~/.docker/trust.
int OpenTrust(Invocation& in, const std::string& image, Notary* out);

// OpenAsNotary opens as `notary` would: its flags, its config.json, NOTARY_AUTH, ~/.notary.
int OpenAsNotary(Invocation& in, Notary* out);
// RunNotary does that, then `body`, and tells of a failure.
template <typename Body>
int RunNotary(Invocation& in, Body body) {
  Notary notary;
  if (int code = OpenAsNotary(in, &notary)) return code;
  Error error;
  const coam_code code = body(notary.get(), error);
  in.PrintNotes();
  if (code == COAM_OK) return 0;
  return error ? in.Fail(error) : 1;  // else it was told
}
// FinishNotary ends words that stage a change: `text` is printed, and --publish publishes it.
coam_code FinishNotary(Invocation& in, coam_notary* notary, const std::string& gun,
                       coam_code staged, const std::string& text, Error& error);

// Lists are given by commas or again and again.
std::vector<std::string> SplitList(const std::vector<std::string>& values);

// WriteTextFile tells of a failure itself.
bool WriteTextFile(const std::string& path, std::string_view bytes, unsigned mode);

}  // namespace coam

#endif  // COAMING_EXAMPLES_COAM_NOTARY_SHARED_H_
