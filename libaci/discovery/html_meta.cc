// The one file that knows libxml2: its HTML parser as a source of SAX events, with no network, no
// entities from outside, no tree, and no word to standard error.
#include <libxml/HTMLparser.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "libaci/discovery/discovery.h"

namespace coaming::aci {
namespace {

// End tags search the stack of open elements, so a page of nothing but open tags would cost the
// square of its size; no real page comes near this depth.
constexpr int kMaxDepth = 512;
constexpr size_t kMaxTags = 256;

struct Collector {
  htmlParserCtxtPtr parser = nullptr;
  std::vector<MetaTag> tags;
};

std::string_view View(const xmlChar* text) {
  return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}

void OnStart(void* user, const xmlChar* element, const xmlChar** attributes) {
  Collector& c = *static_cast<Collector*>(user);
  if (c.parser->nameNr > kMaxDepth || c.tags.size() >= kMaxTags) {
    xmlStopParser(c.parser);
    return;
  }
  if (View(element) != "meta" || attributes == nullptr) return;
  MetaTag tag;
  std::string_view content;
  for (; attributes[0] != nullptr; attributes += 2) {
    if (View(attributes[0]) == "name") tag.name = std::string(View(attributes[1]));
    if (View(attributes[0]) == "content") content = View(attributes[1]);
  }
  if (!absl::StartsWith(tag.name, "ac-")) return;
  content = absl::StripAsciiWhitespace(content);
  const size_t blank = content.find_first_of(" \t\r\n\f");
  if (blank == std::string_view::npos) return;
  tag.prefix = std::string(content.substr(0, blank));
  tag.uri = std::string(absl::StripAsciiWhitespace(content.substr(blank)));
  c.tags.push_back(std::move(tag));
}

}  // namespace

std::vector<MetaTag> ReadMetaTags(std::string_view html, const base::Limits& limits) {
  if (html.empty()) return {};
  if (static_cast<int64_t>(html.size()) > limits.discovery_bytes) {
    html = html.substr(0, static_cast<size_t>(limits.discovery_bytes));
  }
  Collector collector;
  htmlParserCtxtPtr parser = htmlCreateMemoryParserCtxt(html.data(), static_cast<int>(html.size()));
  if (parser == nullptr) return {};
  htmlCtxtUseOptions(parser, HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                                 HTML_PARSE_NONET | HTML_PARSE_IGNORE_ENC);
  std::memset(parser->sax, 0, sizeof(*parser->sax));
  parser->sax->startElement = &OnStart;
  parser->userData = &collector;
  collector.parser = parser;
  htmlParseDocument(parser);
  if (parser->myDoc != nullptr) xmlFreeDoc(parser->myDoc);
  htmlFreeParserCtxt(parser);
  return std::move(collector.tags);
}

}  // namespace coaming::aci
