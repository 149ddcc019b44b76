/* coaming/coaming.h: all modules of coaming in one include. */
#ifndef COAMING_COAMING_H_
#define COAMING_COAMING_H_

#include <coaming/aci.h>
#include <coaming/cni.h>
#include <coaming/core.h>
#include <coaming/json.h>
#include <coaming/notary.h>
#include <coaming/oci.h>
#include <coaming/pod.h>
#include <coaming/run.h>
#include <coaming/sig.h>
#include <coaming/tuf.h>

#endif /* COAMING_COAMING_H_ */
