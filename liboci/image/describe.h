// Results as JSON documents with a schema name, for the C ABI and tools: members are only ever added.
//
// Threads: functions without state. Strings from images are given as they are, escaped for JSON.
#ifndef COAMING_LIBOCI_IMAGE_DESCRIBE_H_
#define COAMING_LIBOCI_IMAGE_DESCRIBE_H_

#include <string>
#include <string_view>
#include <vector>

#include "liboci/image/image.h"
#include "liboci/store/layout.h"

namespace coaming::oci {

// coam.oci.image.v1: name, digest, mediaType, size, platform, created, config members, layers.
std::string DescribeImage(const Image& image);
// coam.oci.copy.v1: descriptor, blobsCopied, blobsReused, bytesCopied.
std::string DescribeCopied(const Copied& copied);
// coam.oci.unpack.v1: rootfs, config, layers, entries, bytes.
std::string DescribeUnpacked(const Unpacked& unpacked);
// coam.oci.names.v1: name, names.
std::string DescribeNames(const ImageName& name, const std::vector<std::string>& names);
// coam.oci.descriptors.v1: name, descriptors as image-spec writes them.
std::string DescribeDescriptors(const ImageName& name, const std::vector<Descriptor>& list);
// coam.oci.gc.v1: blobs, bytes, kept, removed.
std::string DescribeGc(const Layout::GcResult& result);
// coam.oci.reference.v1: transport, path, name, host, repository, tag, digest.
std::string DescribeName(const ImageName& name);

}  // namespace coaming::oci

#endif  // COAMING_LIBOCI_IMAGE_DESCRIBE_H_
