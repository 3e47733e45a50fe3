// SPDX-License-Identifier: Apache-2.0
// Forecast: how long one collective operation takes on a machine, by one or all of its algorithms. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libnpu/ccl/schedule/predict.h"
#include "tools/npu-perf/machine.h"

namespace npu::perf {

// An operation as the user asks for it.
struct Wish {
  std::string profile = "maia100";
  std::string wiring;
  std::string operation = "allreduce";
  std::string type = "float32";
  std::string order = "canonical";
  std::string algorithm = "auto";  // the fastest; "all": a row for each
  uint64_t ranks = 0;
  uint64_t size_bytes = 0;
  uint64_t chunk_bytes = 0;  // 0: one chunk
};

std::vector<std::string> operation_names();
std::vector<std::string> type_names();
std::vector<std::string> order_names();
std::vector<std::string> algorithm_names();  // with auto and all

struct Forecast {
  Wish wish;
  Machine machine;
  ccl::Question question;
  std::vector<ccl::Answer> answers;  // in the order of the enumeration; refused ones too
  std::optional<size_t> best;        // the fastest
};

// The question alone: no answers yet.
isa::Outcome<Forecast> ask(const Wish& wish);
// Fails where no algorithm that was asked for can do it.
isa::Outcome<Forecast> forecast(const Wish& wish);

// The schedule of the algorithm that was asked for: JSON, Graphviz for the ending .dot, a time-line for .txt. Elements are whole, so the size must be divisible by what the
// operation cuts it in.
isa::Outcome<std::string> export_schedule(const Forecast& forecast, const std::string& path);

std::string make_forecast_table(const Forecast& forecast);
std::string make_forecast_json(const Forecast& forecast);

}  // namespace npu::perf
