// SPDX-License-Identifier: Apache-2.0
// npu-fw: keys, signing and inspection of firmware blobs.
#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/isa/blob.h"
#include "tools/isa/command_line.h"
#include "tools/isa/text.h"
#include "tools/npu-fw/inspect.h"
#include "tools/npu-fw/key_files.h"

namespace {

using namespace npu::isa;

struct Options {
  std::vector<std::string> inputs;
  std::string file, output, key, name, firmware, format = "text";
  SignOptions sign;
};

const std::map<std::string, uint8_t> kImageTypes = {{"kernels", NPU_IMAGE_KERNELS},
                                                    {"firmware", NPU_IMAGE_FIRMWARE}};
const std::map<std::string, uint8_t> kKeyClasses = {
    {"dev", NPU_KEY_DEV}, {"prod", NPU_KEY_PROD}, {"owner", NPU_KEY_OWNER}};

int fail(const std::string& text) { return report("npu-fw", text); }

int fail(const std::string& file, const std::string& text) {
  return fail("'" + file + "': " + text);
}

int keygen(const Options& options) {
  const auto key = make_key_pair();
  if (!key) return fail(key.error());
  if (const auto failure = write_secret_key(options.file + ".key", *key))
    return fail(failure->text);
  if (const auto failure = write_public_key(options.file + ".pub", key->public_key))
    return fail(failure->text);
  std::printf("%s.key  secret, keep it\n%s.pub  key id %s\n", options.file.c_str(),
              options.file.c_str(),
              to_hex(key_id(key->public_key).data(), NPU_KEY_ID_BYTES).c_str());
  return kExitDone;
}

int enrol(const Options& options) {
  const auto key = read_public_key(options.file);
  if (!key) return fail(key.error());
  const auto directory = key_directory();
  if (!directory) return fail(directory.error());
  const std::string name = options.name.empty()  //
                               ? std::filesystem::path(options.file).stem().string()
                               : options.name;
  const auto path = enrol_key(*directory, name, *key);
  if (!path) return fail(path.error());
  std::printf("%s\n", path->c_str());
  return kExitDone;
}

// A program file, a blob, or text to assemble: by its first bytes.
Outcome<std::vector<Program>> load_programs(const std::string& path) {
  const auto bytes = read_whole_file(path);
  if (!bytes) return bytes.failure();
  if (bytes->size() >= 4 && (*bytes)[0] == 0x7f && (*bytes)[1] == 'E') {
    auto blob = read_blob(*bytes);
    if (!blob) return Failure{"'" + path + "': " + blob.error()};
    return std::move(blob->programs);
  }
  Assembly assembly = assemble({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  if (assembly.error)
    return Failure{path + ":" + std::to_string(assembly.error->line) + ": " + assembly.error->text};
  return std::move(assembly.programs);
}

int pack(const Options& options) {
  std::vector<Program> programs;
  for (const std::string& input : options.inputs) {
    auto more = load_programs(input);
    if (!more) return fail(more.error());
    std::move(more->begin(), more->end(), std::back_inserter(programs));
  }
  std::optional<FirmwareVersion> firmware;
  if (!options.firmware.empty()) {
    firmware.emplace();
    firmware->text = options.firmware;
  }
  const auto elf = write_elf(programs, firmware);
  if (!elf) return fail(elf.error());
  if (const auto failure = write_whole_file(options.output, *elf)) return fail(failure->text);
  return kExitDone;
}

int sign(const Options& options) {
  const auto key = read_secret_key(options.key);
  if (!key) return fail(key.error());
  const auto bytes = read_whole_file(options.file);
  if (!bytes) return fail(bytes.error());
  const auto blob = sign_elf(*bytes, *key, options.sign);
  if (!blob) return fail(options.file, blob.error());
  if (const auto failure = write_whole_file(options.output, *blob)) return fail(failure->text);
  return kExitDone;
}

int inspect(const Options& options) {
  const auto bytes = read_whole_file(options.file);
  if (!bytes) return fail(bytes.error());
  const auto blob = read_blob(*bytes);
  if (!blob) return fail(options.file, blob.error());
  const std::string text = options.format == "json" ? describe_json(*blob) : describe_text(*blob);
  if (const auto failure = write_whole_file("-", {text.begin(), text.end()}))
    return fail(failure->text);
  return kExitDone;
}

int verify(const Options& options) {
  const auto key = read_public_key(options.key);
  if (!key) return fail(key.error());
  const auto bytes = read_whole_file(options.file);
  if (!bytes) return fail(bytes.error());
  const auto blob = verify_blob(*bytes, *key);
  if (!blob) return fail(options.file, blob.error());
  std::printf("good: %zu kernels, security counter %llu\n", blob->programs.size(),
              static_cast<unsigned long long>(blob->manifest.security_counter));
  return kExitDone;
}

// The parser alone takes -1 for the largest number, and larger ones for that too: nothing could be signed after it.
std::string whole_number(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return "";
  return "'" + text + "' is not a whole number from 0 to 18446744073709551615";
}

void add_key_commands(CLI::App& app, Options& options) {
  CLI::App* keygen = app.add_subcommand("keygen", "make a key pair: PREFIX.key and PREFIX.pub");
  keygen->add_option("prefix", options.file, "path without its ending")->required();
  CLI::App* enrol = app.add_subcommand(
      "enrol",
      "let your device model accept blobs of a public key (NPU_KEY_DIR, else the config folder)");
  enrol->add_option("key", options.file, "public key file")->required();
  enrol->add_option("--name", options.name, "name of the key; its file name when left out");
}

void add_blob_commands(CLI::App& app, Options& options) {
  CLI::App* pack = app.add_subcommand("pack", "put programs together into one program file");
  pack->add_option("inputs", options.inputs, "program files, blobs or assembler text")->required();
  pack->add_option("-o,--output", options.output, "program file to write")->required();
  pack->add_option(
      "--firmware", options.firmware,
      "make control firmware of this VERSION, which a device boots, instead of kernels");
  CLI::App* sign = app.add_subcommand("sign", "make a signed blob of a program file");
  sign->add_option("file", options.file, "program file or blob")->required();
  sign->add_option("-k,--key", options.key, "secret key file")->required();
  sign->add_option("-o,--output", options.output, "blob to write")->required();
  sign->add_option("--counter", options.sign.security_counter, "security counter (default 0)")
      ->check(whole_number);
  sign->add_option("--type", options.sign.image_type, "what the file must be: kernels or firmware")
      ->transform(CLI::CheckedTransformer(kImageTypes));
  sign->add_option("--class", options.sign.key_class, "dev, prod or owner (default)")
      ->transform(CLI::CheckedTransformer(kKeyClasses));
  CLI::App* inspect = app.add_subcommand("inspect", "show what a program file or blob holds");
  inspect->add_option("file", options.file, "program file or blob")->required();
  inspect->add_option("--format", options.format, "text (default) or json")
      ->check(CLI::IsMember({"text", "json"}));
  CLI::App* verify = app.add_subcommand("verify", "check hashes, signature and every instruction");
  verify->add_option("file", options.file, "blob")->required();
  verify->add_option("-k,--key", options.key, "public key file")->required();
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Keys, signing and inspection of NPU firmware blobs."};
  app.set_version_flag("-V,--version", version_line("npu-fw"));
  app.require_subcommand(1);
  add_key_commands(app, options);
  add_blob_commands(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  static const std::map<std::string, int (*)(const Options&)> kCommands = {
      {"keygen", keygen}, {"enrol", enrol},     {"pack", pack},
      {"sign", sign},     {"inspect", inspect}, {"verify", verify}};
  return kCommands.at(app.get_subcommands().front()->get_name())(options);
}
