// SPDX-License-Identifier: Apache-2.0
// Frames, ids, and a store that strangers knock at.
#include "libnpu/ccl/frame.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "libnpu/ccl/bootstrap.h"

namespace npu::ccl {
namespace {

std::optional<Frame> read(std::vector<std::byte> bytes) {
  FrameReader reader;
  for (std::byte byte : bytes) {
    reader.room()[0] = byte;
    if (!reader.filled(1)) return std::nullopt;
    if (auto frame = reader.take()) return frame;
  }
  return std::nullopt;
}

TEST(FrameTest, WhatWasMadeIsRead) {
  Notice notice{3, NPU_CCL_TIMEOUT, "late"};
  const auto frame = read(make_frame(FrameKind::kFail, notice));
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->kind, FrameKind::kFail);
  EXPECT_EQ(frame->as<Notice>().rank, 3u);
  EXPECT_STREQ(frame->as<Notice>().text, "late");
}

TEST(FrameTest, TextsAlwaysEnd) {
  Refuse refuse{};
  std::fill(std::begin(refuse.notice.text), std::end(refuse.notice.text), 'x');
  const auto frame = read(make_frame(FrameKind::kRefuse, refuse));
  ASSERT_TRUE(frame);
  EXPECT_EQ(std::string(frame->as<Refuse>().notice.text).size(), sizeof(refuse.notice.text) - 1);
}

TEST(FrameTest, EachWrongFieldOfTheHeaderEndsTheStream) {
  const std::vector<std::byte> good = make_frame(FrameKind::kBye, Bye{});
  ASSERT_TRUE(read(good));
  for (size_t at = 0; at < 16; at++) {
    std::vector<std::byte> bad = good;
    bad[at] ^= std::byte{0x40};
    EXPECT_FALSE(read(bad)) << "byte " << at;
  }
}

// A corpus of another version would all end at the header.
TEST(FrameTest, TheFuzzCorpusHasEachKind) {
  std::set<FrameKind> kinds;
  for (const auto& entry : std::filesystem::directory_iterator(NPU_CCL_FRAME_CORPUS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto* begin = reinterpret_cast<const std::byte*>(text.data());
    if (const auto frame = read({begin, begin + text.size()})) kinds.insert(frame->kind);
  }
  for (uint16_t kind = 1; payload_bytes(kind); kind++) {
    if (kind == static_cast<uint16_t>(FrameKind::kPong)) continue;  // it looks like a ping
    EXPECT_EQ(kinds.count(static_cast<FrameKind>(kind)), 1u) << "kind " << kind;
  }
}

TEST(FrameTest, WindowsWithAnUnknownStateAReservedFieldOrAnEndBeyondAllAreNone) {
  WindowOffer offer{1, 4096, 65536, WindowState::kShared, 0, {}};
  EXPECT_TRUE(is_valid(offer));
  for (const uint32_t state : {0u, 4u, UINT32_MAX}) {
    WindowOffer bad = offer;
    bad.state = static_cast<WindowState>(state);
    EXPECT_FALSE(is_valid(bad)) << state;
    EXPECT_FALSE(is_valid(WindowVerdict{1, static_cast<WindowState>(state), 0, {}})) << state;
  }
  offer.reserved = 1;
  EXPECT_FALSE(is_valid(offer));
  EXPECT_FALSE(is_valid(WindowOffer{0, 4096, 0, WindowState::kShared, 0, {}}));
  EXPECT_FALSE(is_valid(WindowOffer{1, 4096, UINT64_MAX - 4095, WindowState::kShared, 0, {}}));
  EXPECT_TRUE(is_valid(WindowVerdict{1, WindowState::kApart, 0, {}}));
  EXPECT_FALSE(is_valid(WindowVerdict{1, WindowState::kApart, 1, {}}));
}

TEST(FrameTest, TokensDifferInAnyBit) {
  const Token token{1, 2, 3};
  for (size_t i = 0; i < token.size() * 8; i++) {
    Token other = token;
    other[i / 8] = static_cast<uint8_t>(other[i / 8] ^ (1u << i % 8));
    EXPECT_FALSE(is_same(token, other));
  }
  EXPECT_TRUE(is_same(token, token));
}

TEST(IdTest, TheTextIsReadWholeOrNotAtAll) {
  const std::string good = "127.0.0.1:4711:000102030405060708090a0b0c0d0e0f";
  const auto address = parse_id_text(good);
  ASSERT_TRUE(address);
  EXPECT_EQ(address->at, loopback(4711));
  EXPECT_EQ(address->token[15], 15);
  for (const char* bad :
       {"", "127.0.0.1:", "127.0.0.1:0:000102030405060708090a0b0c0d0e0f",
        "127.0.0.1:70000:000102030405060708090a0b0c0d0e0f",
        "10.0.0:4711:000102030405060708090a0b0c0d0e0f",
        "[10.0.0.1]:4711:000102030405060708090a0b0c0d0e0f",
        "::1:4711:000102030405060708090a0b0c0d0e0f", "host:4711:000102030405060708090a0b0c0d0e0f",
        "127.0.0.1:4711:000102030405060708090a0b0c0d0e0", "127.0.0.1:4711"}) {
    EXPECT_FALSE(parse_id_text(bad)) << bad;
  }
  EXPECT_FALSE(parse_id_text(good + "0"));
  const auto far = parse_id_text("[fd00::7]:9:000102030405060708090a0b0c0d0e0f");
  ASSERT_TRUE(far);
  EXPECT_EQ(far->at.text(), "[fd00::7]:9");
  EXPECT_FALSE(far->at.is_loopback());
}

TEST(AuthTest, AProofIsForOneRoleOneNonceAndOneText) {
  const Token secret{1}, other_secret{2};
  const Nonce nonce{3}, other_nonce{4};
  const std::span<const std::byte> text = std::as_bytes(std::span("text"));
  const Mac mac = mac_of(secret, "hello", nonce, text);
  EXPECT_TRUE(is_same(mac, mac_of(secret, "hello", nonce, text)));
  EXPECT_FALSE(is_same(mac, mac_of(other_secret, "hello", nonce, text)));
  EXPECT_FALSE(is_same(mac, mac_of(secret, "join", nonce, text)));
  EXPECT_FALSE(is_same(mac, mac_of(secret, "hello", other_nonce, text)));
  EXPECT_FALSE(is_same(mac, mac_of(secret, "hello", nonce, text.first(3))));
}

TEST(AddressTest, TheOneThatRoutesOrTheOneThatIsNamed) {
  std::string error;
  const auto routed = own_address(loopback(1), "", &error);
  ASSERT_TRUE(routed) << error;
  EXPECT_EQ(*routed, loopback(0));
  for (const char* wish : {"lo", "127.0.0.1"}) {
    const auto named = own_address({{10, 0, 0, 1}, 1, 4}, wish, &error);
    ASSERT_TRUE(named) << wish << ": " << error;
    EXPECT_EQ(*named, loopback(0)) << wish;
  }
  const auto all = own_addresses(loopback(1), "127.0.0.2,lo", &error);
  ASSERT_EQ(all.size(), 2u) << error;
  EXPECT_EQ(all[0].text(), "127.0.0.2:0");
  EXPECT_EQ(all[1], loopback(0));
  EXPECT_EQ(interface_of(all[0]), "lo");
  EXPECT_EQ(interface_of({{192, 0, 2, 1}, 0, 4}), "");
}

TEST(AddressTest, NamesThatAreNoGoodAreRefusedWithWhatIsWrong) {
  const struct {
    const char *wish, *said;
  } cases[] = {
      {"nosuch0", "names \"nosuch0\", and this host has no such"},
      {"lo,nosuch0", "names \"nosuch0\", and this host has no such"},
      {"lo,192.0.2.1", "names \"192.0.2.1\", and this host has no such"},
      {"lo,", "names \"\", and this host has no such"},
      {"127.0.0.2,127.0.0.2", "twice, the second time by \"127.0.0.2\""},
      {"127.0.0.1,lo", "twice, the second time by \"lo\""},
      {"127.0.0.1,127.0.0.2,127.0.0.3,127.0.0.4,127.0.0.5,127.0.0.6,127.0.0.7,127.0.0.8,127.0.0.9",
       "has 9 names, and a rank has at most 8 rails"},
  };
  for (const auto& c : cases) {
    std::string error;
    EXPECT_TRUE(own_addresses(loopback(1), c.wish, &error).empty()) << c.wish;
    EXPECT_NE(error.find(c.said), std::string::npos) << c.wish << ": " << error;
    EXPECT_TRUE(error.starts_with("NPU_CCL_INTERFACE ")) << error;
  }
}

// What a guest of the store says after the store's challenge.
Fd say_hello(const Offer& offer, Hello hello, const Token& secret) {
  Fd socket = connect_tcp(offer.address.at, offer.deadline);
  FrameReader reader;
  std::optional<Frame> challenge;
  while (!challenge && goes_on(offer)) {
    const long got = receive_some(socket, reader.room(), nullptr, 0);
    if (got > 0 && !reader.filled(static_cast<size_t>(got))) break;
    challenge = reader.take();
    if (!challenge) std::this_thread::yield();
  }
  if (!challenge) return {};
  hello.mac = mac_of(secret, "hello", challenge->as<Challenge>().nonce, hello);
  send_now(socket, make_frame(FrameKind::kHello, hello));
  return socket;
}

TEST(StoreTest, GoesOnWhileStrangersKnock) {
  npuCclId id;
  ASSERT_EQ(make_id(loopback(0), &id), NPU_OK);
  const Address address = *read_id(id);
  const std::atomic<bool> stop{false};
  const Offer offer{address, {4096, 1, 2, 0, 1, 0}, 0, {}, Clock::now() + std::chrono::seconds(20),
                    &stop};
  std::optional<Refusal> refusal;
  Welcome welcome{};
  const Name zero{"zero", {}, loopback(1), 0}, one{"one", {}, loopback(2), 0};
  std::thread store([&] { refusal = serve_store(offer, zero, &welcome); });
  std::vector<Fd> strangers;
  const Hello hello{{}, {}, offer.agreement, one, 1, 0};
  Token wrong = address.token;
  wrong[0] ^= 1;
  for (int i = 0; i < 100; i++) {  // more than the store keeps
    const char noise[] = "GET / HTTP/1.0\r\n\r\n";
    if (i % 3 == 0) {
      strangers.push_back(connect_tcp(address.at, offer.deadline));
      send_now(strangers.back(), std::as_bytes(std::span(noise)));
    } else {
      strangers.push_back(say_hello(offer, hello, wrong));
    }
  }
  Offer other = offer;
  other.rank = 1;
  Welcome answer{};
  EXPECT_FALSE(ask_store(other, one, &answer));
  store.join();
  EXPECT_FALSE(refusal);
  EXPECT_STREQ(welcome.names[1].unix_name, "one");
  EXPECT_STREQ(answer.names[0].unix_name, "zero");
  EXPECT_EQ(answer.names[0].control, loopback(1));
}

TEST(StoreTest, AStoreThatDoesNotKnowTheSecretIsNotBelieved) {
  npuCclId id;
  ASSERT_EQ(make_id(loopback(0), &id), NPU_OK);
  const Address real = *read_id(id);
  Address wrong = real;
  wrong.token[3] ^= 1;
  const std::atomic<bool> stop{false};
  const Offer offer{
      real, {4096, 1, 2, 0, 1, 0}, 1, {}, Clock::now() + std::chrono::milliseconds(500), &stop};
  // It takes every hello and welcomes it with a proof of another secret.
  const Fd listener = take_listener(real);
  std::thread liar([&] {
    std::vector<Fd> guests;
    while (goes_on(offer)) {
      Fd guest = accept_from(listener);
      if (!guest) {
        std::this_thread::yield();
        continue;
      }
      send_now(guest, make_frame(FrameKind::kChallenge, Challenge{}));
      send_now(guest, make_frame(FrameKind::kWelcome, Welcome{}));
      guests.push_back(std::move(guest));
    }
  });
  Welcome answer{};
  const auto refusal = ask_store(offer, Name{}, &answer);
  liar.join();
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->reason, NPU_CCL_TIMEOUT);
}

}  // namespace
}  // namespace npu::ccl
