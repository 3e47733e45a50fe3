/* SPDX-License-Identifier: Apache-2.0 */
/* Lists the NPUs of this machine: what they are, which versions meet here, and whether an address space can be made on each. */
#include <inttypes.h>
#include <npu/npu.h>
#include <stdio.h>

/* 1, and the reason on stderr, when |result| is an error. */
static int failed(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return 0;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  return 1;
}

static void print_version(const char *what, uint32_t version) {
  printf("%-28s %u.%u\n", what, version >> 16, version & 0xffff);
}

/* Prints what |device| is; 1 when something cannot be true. */
static int show(npuDevice device) {
  npuDeviceInfo info = {.struct_size = sizeof info};
  if (failed(npuDeviceGetInfo(device, &info))) return 1;
  printf("\ndevice %u: %s%s\n", info.index, info.name, info.is_virtual ? " (device model)" : "");
  printf("  %-26s %s\n", "uuid", info.uuid);
  printf("  %-26s %u clusters of %u\n", "tiles", info.clusters, info.tiles_per_cluster);
  printf("  %-26s %.0f MHz\n", "core clock", info.core_clock_khz / 1e3);
  printf("  %-26s %" PRIu64 " MiB\n", "HBM", info.hbm_bytes >> 20);
  printf("  %-26s %" PRIu64 " KiB\n", "scratchpad of a tile", info.l1_bytes >> 10);
  printf("  %-26s %" PRIu64 " KiB\n", "accumulator of a tile", info.acc_bytes >> 10);
  printf("  %-26s %" PRIu64 " KiB\n", "scratchpad of a cluster", info.l2_bytes >> 10);
  print_version("  instruction set", info.isa_version);
  print_version("  driver interface", info.uapi_version);
  if (info.clusters == 0 || info.tiles_per_cluster == 0 || info.l1_bytes == 0) return 1;

  npuContext context;
  uint64_t free_bytes, total_bytes;
  if (failed(npuContextCreate(device, &context))) return 1;
  if (failed(npuMemGetInfo(context, &free_bytes, &total_bytes))) return 1;
  printf("  %-26s %" PRIu64 " MiB\n", "HBM free now", free_bytes >> 20);
  return total_bytes == info.hbm_bytes && free_bytes <= total_bytes ? 0 : 1;
}

int main(void) {
  npuVersions versions = {.struct_size = sizeof versions,
                          .header = NPU_VERSION_MAJOR << 16 | NPU_VERSION_MINOR};
  uint32_t count = 0;
  int bad = 0;

  if (failed(npuGetVersions(&versions)) || failed(npuInit())) return 1;
  print_version("library", versions.library);
  print_version("header of this program", versions.header);
  if (failed(npuDeviceGetCount(&count))) return 1;
  printf("%-28s %u\n", "devices", count);
  if (count == 0) {
    fprintf(stderr, "skipped: there is no NPU\n");
    return 77;
  }
  for (uint32_t i = 0; i < count; i++) {
    char selector[16];
    npuDevice device;
    snprintf(selector, sizeof selector, "%u", i);
    if (failed(npuDeviceOpen(selector, &device))) {
      bad = 1;
      continue;
    }
    bad |= show(device);
    bad |= failed(npuDeviceClose(device)); /* and the context that show() made */
  }
  puts(bad ? "FAILED" : "PASSED");
  return bad;
}
