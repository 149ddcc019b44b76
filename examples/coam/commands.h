// The tables of commands that modules bring; commands.cc joins them.
//
//   std::span<const Command> OciCommands();    // of coam, in oci_commands.cc
//   std::span<const Command> RuncCommands();   // of a personality
#ifndef COAMING_EXAMPLES_COAM_COMMANDS_H_
#define COAMING_EXAMPLES_COAM_COMMANDS_H_

#include <span>

#include "examples/coam/cli.h"

namespace coam {

std::span<const Command> OciCommands();
std::span<const Command> AciCommands();
std::span<const Command> AcbuildCommands();
std::span<const Flag> AcbuildFlags();
std::span<const Command> ActoolCommands();
std::span<const Flag> ActoolFlags();
std::span<const Command> RktCommands();
std::span<const Flag> RktFlags();
std::span<const Command> RktImageCommands();
std::span<const Command> RktRunCommands();
std::span<const Command> RktPodCommands();
std::span<const Command> CniCommands();
std::span<const Command> CnitoolCommands();
std::span<const Command> SigCommands();
std::span<const Command> TufCommands();
std::span<const Command> PolicyCommands();
std::span<const Command> TrustCommands();
std::span<const Command> NotaryCommands();
std::span<const Command> NotaryKeyCommands();
std::span<const Flag> NotaryFlags();
std::span<const Command> RunCommands();
std::span<const Command> RuncCommands();
std::span<const Flag> RuncFlags();
const Personality& RuncPersonality();
std::span<const Command> HelpCommands();
std::span<const Command> CompleteCommands();

}  // namespace coam

#endif  // COAMING_EXAMPLES_COAM_COMMANDS_H_
