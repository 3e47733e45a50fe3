// SPDX-License-Identifier: Apache-2.0
// Drives a fuzz target without libFuzzer: every seed file as it is, then a fixed number of seeded
// mutations of the seeds.
//
//   fuzz_x [--runs N] [--seed S] [--crash-file PATH] [file or folder ...]
//
// The seed is printed; the same seed and the same files give the same inputs. The input that is
// about to run is kept in memory and written to the crash file only when the process dies of a
// signal, so a run costs no I/O. Thread safety: one thread.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Bytes = std::vector<uint8_t>;

constexpr size_t kMaxInputBytes = 64 * 1024;

// What the signal handler may touch: plain pointers, set before each input runs.
const uint8_t* g_current = nullptr;
size_t g_current_size = 0;
const char* g_crash_file = "fuzz.crash";

void write_all(int fd, const void* data, size_t size) {
  const char* p = static_cast<const char*>(data);
  while (size > 0) {
    ssize_t n = write(fd, p, size);
    if (n <= 0) return;
    p += n;
    size -= static_cast<size_t>(n);
  }
}

void on_fatal_signal(int number) {
  int fd = open(g_crash_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd >= 0) {
    write_all(fd, g_current, g_current_size);
    close(fd);
    constexpr std::string_view kText = "\nfuzz: the input that failed is in ";
    write_all(STDERR_FILENO, kText.data(), kText.size());
    write_all(STDERR_FILENO, g_crash_file, std::string_view(g_crash_file).size());
    write_all(STDERR_FILENO, "\n", 1);
  }
  std::signal(number, SIG_DFL);
  std::raise(number);
}

void run_one(const Bytes& input) {
  // An exact-size heap copy, so that AddressSanitizer sees the first byte that is read past the
  // end.
  Bytes exact(input.begin(), input.end());
  exact.shrink_to_fit();
  g_current = exact.data();
  g_current_size = exact.size();
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

class Mutator {
 public:
  Mutator(const std::vector<Bytes>& seeds, uint64_t seed) : seeds_(seeds), random_(seed) {}

  Bytes next() {
    Bytes data = seeds_[below(seeds_.size())];
    const size_t steps = 1 + below(8);
    for (size_t i = 0; i < steps; ++i) mutate(data);
    if (data.size() > kMaxInputBytes) data.resize(kMaxInputBytes);
    return data;
  }

 private:
  size_t below(size_t limit) { return limit == 0 ? 0 : static_cast<size_t>(random_() % limit); }

  void mutate(Bytes& data) {
    switch (below(7)) {
      case 0:
        return flip_bit(data);
      case 1:
        return set_byte(data);
      case 2:
        return data.resize(below(data.size() + 1));
      case 3:
        return splice(data);
      case 4:
        return set_word(data);
      case 5:
        return insert_bytes(data);
      default:
        return erase_bytes(data);
    }
  }

  void flip_bit(Bytes& data) {
    if (!data.empty()) data[below(data.size())] ^= static_cast<uint8_t>(1u << below(8));
  }

  void set_byte(Bytes& data) {
    if (!data.empty()) data[below(data.size())] = static_cast<uint8_t>(random_());
  }

  // The values that break length checks: zero, one, all ones, the sign bit, just past a power of
  // two.
  void set_word(Bytes& data) {
    static constexpr uint64_t kValues[] = {0,          1,      ~0ull,   1ull << 31,
                                           1ull << 63, 0xffff, 0x10001, 0x7fffffff};
    const size_t width = size_t{1} << below(4);
    if (data.size() < width) return;
    const uint64_t value = kValues[below(std::size(kValues))];
    const size_t at = below(data.size() / width) * width;
    for (size_t i = 0; i < width; ++i) data[at + i] = static_cast<uint8_t>(value >> (8 * i));
  }

  void insert_bytes(Bytes& data) {
    Bytes extra(1 + below(16));
    for (uint8_t& byte : extra) byte = static_cast<uint8_t>(random_());
    data.insert(data.begin() + static_cast<ptrdiff_t>(below(data.size() + 1)), extra.begin(),
                extra.end());
  }

  void erase_bytes(Bytes& data) {
    if (data.empty()) return;
    const size_t at = below(data.size());
    const size_t count = 1 + below(std::min<size_t>(16, data.size() - at));
    data.erase(data.begin() + static_cast<ptrdiff_t>(at),
               data.begin() + static_cast<ptrdiff_t>(at + count));
  }

  // Head of this input, tail of another seed.
  void splice(Bytes& data) {
    const Bytes& other = seeds_[below(seeds_.size())];
    data.resize(below(data.size() + 1));
    data.insert(data.end(), other.begin() + static_cast<ptrdiff_t>(below(other.size() + 1)),
                other.end());
  }

  const std::vector<Bytes>& seeds_;
  std::mt19937_64 random_;
};

bool load(const std::filesystem::path& path, std::vector<Bytes>& seeds) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(path)) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    std::sort(files.begin(),
              files.end());  // the order of a folder must not decide what a seed number means
  } else {
    files.push_back(path);
  }
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    if (!in) {
      std::fprintf(stderr, "fuzz: cannot read '%s'\n", file.c_str());
      return false;
    }
    seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t runs = 20000;
  uint64_t seed = 1;
  std::vector<Bytes> seeds;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    const bool has_value = i + 1 < argc;
    if (arg == "--runs" && has_value) {
      runs = std::strtoull(argv[++i], nullptr, 0);
    } else if (arg == "--seed" && has_value) {
      seed = std::strtoull(argv[++i], nullptr, 0);
    } else if (arg == "--crash-file" && has_value) {
      g_crash_file = argv[++i];
    } else if (!load(argv[i], seeds)) {
      return 2;
    }
  }
  seeds.push_back({});  // the empty input is always a seed
  std::printf("fuzz: seed %llu, %zu files, %llu mutations\n", static_cast<unsigned long long>(seed),
              seeds.size() - 1, static_cast<unsigned long long>(runs));
  std::fflush(stdout);
  for (int number : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL})
    std::signal(number, on_fatal_signal);
  for (const Bytes& input : seeds) run_one(input);
  Mutator mutator(seeds, seed);
  for (uint64_t i = 0; i < runs; ++i) run_one(mutator.next());
  std::printf("fuzz: done\n");
  return 0;
}
