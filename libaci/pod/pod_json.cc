// PodInfo as JSON ("coam.pod.v1"), for those who read it from other languages.
#include "base/json/json.h"
#include "libaci/pod/pod.h"

namespace coaming::aci {
namespace {

using base::json::Value;

Value AppValue(const AppInfo& app) {
  Value out = Value::MakeObject();
  out.Set("name", app.name);
  out.Set("image_name", app.image_name);
  out.Set("image_id", app.image_id);
  out.Set("state", app.state);
  if (app.exit_code.has_value()) out.Set("exit_code", static_cast<int64_t>(*app.exit_code));
  out.Set("pid", static_cast<int64_t>(app.pid));
  out.Set("created_ns", app.created_ns);
  out.Set("started_ns", app.started_ns);
  out.Set("finished_ns", app.finished_ns);
  return out;
}

Value PodValue(const PodInfo& pod) {
  Value out = Value::MakeObject();
  out.Set("schema", "coam.pod.v1");
  out.Set("uuid", pod.uuid);
  out.Set("state", std::string(PodStateName(pod.state)));
  out.Set("created_ns", pod.created_ns);
  out.Set("started_ns", pod.started_ns);
  out.Set("pid", static_cast<int64_t>(pod.pid));
  Value apps = Value::MakeArray();
  for (const AppInfo& app : pod.apps) apps.Push(AppValue(app));
  out.Set("apps", std::move(apps));
  Value networks = Value::MakeArray();
  for (const NetworkInfo& network : pod.networks) {
    Value one = Value::MakeObject();
    one.Set("name", network.name);
    one.Set("interface", network.interface);
    one.Set("address", network.address);
    networks.Push(std::move(one));
  }
  out.Set("networks", std::move(networks));
  return out;
}

}  // namespace

std::string PodInfoToJson(const PodInfo& pod) { return base::json::Write(PodValue(pod)); }

std::string PodInfosToJson(const std::vector<PodInfo>& pods) {
  Value out = Value::MakeArray();
  for (const PodInfo& pod : pods) out.Push(PodValue(pod));
  return base::json::Write(out);
}

}  // namespace coaming::aci
