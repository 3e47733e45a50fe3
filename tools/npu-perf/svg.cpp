// SPDX-License-Identifier: Apache-2.0
// The roofline as a picture: both axes logarithmic, operations a byte to the right, operations a second upwards.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <vector>

#include "tools/npu-perf/output.h"
#include "tools/npu-perf/quantity.h"
#include "tools/npu-perf/roofline.h"

namespace npu::perf {
namespace {

constexpr double kWidth = 820, kHeight = 460;
constexpr double kLeft = 90, kRight = 30, kTop = 50, kBottom = 60;
constexpr double kDotLeast = 3, kDotMost = 12;  // radius, by the share of the time
constexpr size_t kNamesMost = 24;

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c < 0x20 || c == 0x7f ? '?' : c;
  }
  return out;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

// Powers of ten that hold all that is drawn.
struct Axis {
  int low = 0;
  int high = 1;
  double begin = 0;  // in the picture
  double end = 0;

  double at(double value) const {
    return begin + (std::log10(value) - low) / (high - low) * (end - begin);
  }
};

struct Dot {
  const Sum* kernel;
  double flops_per_byte;
  double flops_per_second;
  double share;
};

struct Chart {
  const DeviceUsage* device;
  Roof roof;
  std::vector<Dot> dots;  // the largest first
  Axis x, y;
};

Axis axis_of(double least, double most, double begin, double end) {
  Axis axis;
  axis.low = static_cast<int>(std::floor(std::log10(least)));
  axis.high = std::max(static_cast<int>(std::ceil(std::log10(most))), axis.low + 1);
  axis.begin = begin;
  axis.end = end;
  return axis;
}

Chart make_chart(const DeviceUsage& device, const Roof& roof, double top) {
  Chart chart{&device, roof, {}, {}, {}};
  double x_least = roof.ridge() / 100, x_most = roof.ridge() * 10;
  double y_least = roof.flops_per_second / 100;
  for (const Sum& kernel : device.kernels) {
    if (kernel.macs == 0 || kernel.bytes == 0 || kernel.total_ps == 0) continue;
    const Dot dot{&kernel, position_of(kernel, roof).flops_per_byte, kernel.flops_per_second(),
                  device.share(kernel)};
    x_least = std::min(x_least, dot.flops_per_byte);
    x_most = std::max(x_most, dot.flops_per_byte);
    y_least = std::min(y_least, dot.flops_per_second);
    chart.dots.push_back(dot);
  }
  chart.x = axis_of(x_least, x_most, kLeft, kWidth - kRight);
  chart.y = axis_of(y_least, roof.flops_per_second, top + kHeight - kBottom, top + kTop);
  return chart;
}

std::string line(double x1, double y1, double x2, double y2, const char* look) {
  return "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) +
         "\" y2=\"" + number(y2) + "\" " + look + "/>\n";
}

std::string label(double x, double y, const char* anchor, const std::string& text) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\">" +
         escaped(text) + "</text>\n";
}

std::string grid(const Chart& chart) {
  constexpr const char* kLook = "stroke=\"#ddd\"";
  std::string text;
  for (int power = chart.x.low; power <= chart.x.high; power++) {
    const double x = chart.x.at(std::pow(10, power));
    text += line(x, chart.y.begin, x, chart.y.end, kLook);
    char value[32];
    std::snprintf(value, sizeof value, "%g", std::pow(10, power));
    text += label(x, chart.y.begin + 18, "middle", value);
  }
  for (int power = chart.y.low; power <= chart.y.high; power++) {
    const double y = chart.y.at(std::pow(10, power));
    text += line(chart.x.begin, y, chart.x.end, y, kLook);
    text += label(chart.x.begin - 8, y + 4, "end", with_prefix(std::pow(10, power), "FLOP/s"));
  }
  return text + label((chart.x.begin + chart.x.end) / 2, chart.y.begin + 40, "middle",
                      "operations for each byte of device memory (FLOP/B)");
}

// The flat part of a type that is not the fastest one.
std::string lower_roof(const Chart& chart, double left, double flops_per_second,
                       const std::string& name) {
  constexpr const char* kLook = "stroke=\"#888\" stroke-dasharray=\"6 4\"";
  const Roof& roof = chart.roof;
  if (flops_per_second < std::pow(10, chart.y.low) || flops_per_second >= roof.flops_per_second)
    return {};
  const double y = chart.y.at(flops_per_second);
  return line(chart.x.at(std::max(left, flops_per_second / roof.bytes_per_second)), y, chart.x.end,
              y, kLook) +
         label(chart.x.end, y - 6, "end", name);
}

// The slope up to the ridge and the flat part of the fastest type; the others have flat parts of their own.
std::string roofs(const Chart& chart) {
  constexpr const char* kLook = "stroke=\"#222\" stroke-width=\"2\"";
  const Roof& roof = chart.roof;
  const double left =
      std::max(std::pow(10, chart.x.low), std::pow(10, chart.y.low) / roof.bytes_per_second);
  std::string text = line(chart.x.at(left), chart.y.at(roof.at(left)), chart.x.at(roof.ridge()),
                          chart.y.at(roof.flops_per_second), kLook);
  text += line(chart.x.at(roof.ridge()), chart.y.at(roof.flops_per_second), chart.x.end,
               chart.y.at(roof.flops_per_second), kLook);
  // Types of one peak share a line.
  std::map<double, std::string> names;
  for (size_t i = 0; i < roof.flops_of_type.size(); i++) {
    std::string& name = names[roof.flops_of_type[i]];
    name += (name.empty() ? "" : ", ") + std::string(trace::kTypePeaks[i].name);
  }
  for (const auto& [flops_per_second, name] : names)
    text += lower_roof(chart, left, flops_per_second, name);
  return text;
}

// From the dot to the roof of the types that the kernel multiplies.
std::string distance(const Chart& chart, const Dot& dot) {
  const double peak = dot.kernel->peak_flops_per_second();
  if (peak == 0) return {};
  const double x = chart.x.at(dot.flops_per_byte);
  const double roof = std::min(peak, dot.flops_per_byte * chart.roof.bytes_per_second);
  return line(x, chart.y.at(dot.flops_per_second), x, chart.y.at(roof),
              "class=\"distance\" stroke=\"#2a6fbb\" stroke-opacity=\"0.5\"");
}

// What the picture says of a kernel where the pointer rests on it.
std::string title_of(const Chart& chart, const Dot& dot) {
  std::string text = dot.kernel->name + ": " + with_prefix(dot.flops_per_second, "FLOP/s") + ", " +
                     with_prefix(dot.flops_per_byte, "FLOP/B");
  const Position position = position_of(*dot.kernel, chart.roof);
  if (position.limit == Limit::kUnknown) return text + ", peak not known";
  return text + ", " + percent(position.of_roof) + " of its roof (peak " +
         with_prefix(dot.kernel->peak_flops_per_second(), "FLOP/s") + ")";
}

std::string dots(const Chart& chart) {
  std::string text;
  for (size_t i = 0; i < chart.dots.size(); i++) {
    const Dot& dot = chart.dots[i];
    const double x = chart.x.at(dot.flops_per_byte), y = chart.y.at(dot.flops_per_second);
    const double radius = kDotLeast + (kDotMost - kDotLeast) * std::sqrt(dot.share);
    text += "<circle cx=\"" + number(x) + "\" cy=\"" + number(y) + "\" r=\"" + number(radius) +
            (dot.kernel->untold != 0 ? "\" fill=\"none\" stroke=\"#2a6fbb\"><title>"
                                     : "\" fill=\"#2a6fbb\" fill-opacity=\"0.6\"><title>") +
            escaped(title_of(chart, dot)) + "</title></circle>\n" + distance(chart, dot);
    if (i < kNamesMost) text += label(x + radius + 3, y + 4, "start", dot.kernel->name);
  }
  return text;
}

std::string draw(const Chart& chart, double top) {
  const DeviceUsage& device = *chart.device;
  const std::string title = "NPU " + std::to_string(device.peaks.index) + " " + device.peaks.name +
                            ": " + with_prefix(chart.roof.flops_per_second, "FLOP/s") + ", " +
                            with_prefix(chart.roof.bytes_per_second, "B/s");
  return label(kLeft, top + 28, "start", title) + grid(chart) + roofs(chart) + dots(chart);
}

}  // namespace

std::string make_svg(const Usage& usage) {
  std::string body;
  double top = 0;
  for (const DeviceUsage& device : usage.devices) {
    const std::optional<Roof> roof = roof_of(device.peaks);
    if (!roof) continue;
    body += draw(make_chart(device, *roof, top), top);
    top += kHeight;
  }
  if (top == 0) {
    body = label(kLeft, 28, "start", "no device told its peaks");
    top = kTop;
  }
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + number(kWidth) + "\" height=\"" +
         number(top) +
         "\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" "
         "fill=\"white\"/>\n" +
         body + "</svg>\n";
}

}  // namespace npu::perf
