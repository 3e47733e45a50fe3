// SPDX-License-Identifier: Apache-2.0
// The checks of npu-smi doctor.
#include "tools/npu-smi/doctor.h"

#include <npu/npu_ml.h>
#include <sys/resource.h>

#include "tools/npu-smi/device.h"
#include "tools/npu-smi/exit_code.h"
#include "tools/npu-smi/field.h"
#include "tools/npu-smi/grid.h"
#include "tools/npu-smi/output.h"

namespace npu::smi {
namespace {

using State = Finding::State;

// A queue needs a ring and a control page; kernels that account pinned memory per user want more than the 64 KiB of old distributions.
constexpr rlim_t kLockedBytesWanted = 8 << 20;
// One descriptor a memory object on the socket road, and those of the program itself.
constexpr rlim_t kDescriptorsWanted = 256;

const char* name_of(State state) {
  switch (state) {
    case State::kOk:
      return "ok";
    case State::kWarning:
      return "warning";
    case State::kFailed:
      break;
  }
  return "failed";
}

void examine_environment(std::vector<Finding>* out) {
  npuMlVariable variable{};
  variable.struct_size = sizeof variable;
  for (uint32_t number = 0; npuMlGetVariable(number, &variable) == NPU_OK; number++) {
    Finding finding{"environment", variable.name, State::kOk, "", ""};
    finding.found = variable.is_set ? variable.value : std::string("unset: ") + variable.fallback;
    if (variable.is_bad) {
      finding.state = State::kFailed;
      finding.remedy = std::string("Unset it, or make it ") + variable.accepted + ".";
    }
    out->push_back(finding);
  }
}

void examine_limit(int resource, const char* subject, rlim_t wanted, const char* remedy,
                   std::vector<Finding>* out) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return;
  const bool enough = limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= wanted;
  const std::string found =
      limit.rlim_cur == RLIM_INFINITY ? "unlimited" : std::to_string(limit.rlim_cur);
  out->push_back(
      {"limits", subject, enough ? State::kOk : State::kWarning, found, enough ? "" : remedy});
}

Finding judge(const Device& device) {
  Finding finding{"devices", "device " + std::to_string(device.index), State::kOk, "", ""};
  if (device.failure) {
    finding.state = State::kFailed;
    finding.found = device.failure->text;
    finding.remedy = device.failure->remedy;
    return finding;
  }
  const auto text = [&](const char* path) {
    const Json value = read_field(field_at(path), device).value;
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
  finding.found = text("name") + ", " + text("uuid") + ", uapi " + text("firmware.uapi") +
                  (device.info.is_virtual ? ", device model" : "");
  if (device.info.health == NPU_ML_HEALTH_OK) return finding;
  const bool works = device.info.health == NPU_ML_HEALTH_DEGRADED;
  finding.state = works ? State::kWarning : State::kFailed;
  finding.found += works ? ", degraded" : ", does not work (wedged or in reset)";
  finding.remedy = works ? "Look at npu-smi info -d ras,temperature."
                         : "Wait for the end of a reset; else reload the driver as root.";
  return finding;
}

void examine_devices(std::vector<Finding>* out) {
  Selector all;
  all.all = true;
  const Snapshot snapshot = take_snapshot(all);
  if (snapshot.failure) {
    out->push_back(
        {"devices", "all", State::kFailed, snapshot.failure->text, snapshot.failure->remedy});
  }
  for (const Device& device : snapshot.devices) out->push_back(judge(device));
}

std::string json_of(const std::vector<Finding>& findings) {
  Json root;
  root["schema"] = "npu-smi-doctor/1.0";
  root["tool"] = {{"version", tool_version()}};
  root["findings"] = Json::array();
  for (const Finding& finding : findings) {
    root["findings"].push_back(
        {{"check", finding.check},
         {"subject", finding.subject},
         {"state", name_of(finding.state)},
         {"found", finding.found},
         {"remedy", finding.remedy.empty() ? Json(nullptr) : Json(finding.remedy)}});
  }
  return root.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::vector<Finding> examine() {
  std::vector<Finding> findings;
  examine_environment(&findings);
  examine_limit(RLIMIT_MEMLOCK, "locked memory (bytes)", kLockedBytesWanted,
                "Raise it: ulimit -l, /etc/security/limits.conf, or LimitMEMLOCK of the service.",
                &findings);
  examine_limit(RLIMIT_NOFILE, "open files", kDescriptorsWanted,
                "Raise it: ulimit -n, or LimitNOFILE of the service.", &findings);
  examine_devices(&findings);
  return findings;
}

std::string make_report(const Options& options, const std::vector<Finding>& findings) {
  if (options.format == Format::kJson) return json_of(findings);
  if (options.format == Format::kCsv) {
    std::string text = options.csv_header ? "check,subject,state,found,remedy\n" : "";
    for (const Finding& finding : findings) {
      text += csv_quoted(printable(finding.check)) + "," + csv_quoted(printable(finding.subject)) +
              "," + name_of(finding.state) + "," + csv_quoted(printable(finding.found)) + "," +
              csv_quoted(printable(finding.remedy)) + "\n";
    }
    return text;
  }
  Grid grid("llll");
  for (const Finding& finding : findings) {
    grid.row({name_of(finding.state), finding.check, finding.subject, printable(finding.found)});
    if (!finding.remedy.empty()) grid.row({"", "", "", "-> " + printable(finding.remedy)});
  }
  return grid.text();
}

int exit_code_of(const std::vector<Finding>& findings) {
  for (const Finding& finding : findings) {
    if (finding.state == State::kFailed) return kExitPartial;
  }
  return kExitDone;
}

}  // namespace npu::smi
