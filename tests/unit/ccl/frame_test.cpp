// SPDX-License-Identifier: Apache-2.0
// Frames, ids, and a store that strangers knock at.
#include "libnpu/ccl/frame.h"

#include <gtest/gtest.h>

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
  Notice notice{};
  std::fill(std::begin(notice.text), std::end(notice.text), 'x');
  const auto frame = read(make_frame(FrameKind::kRefuse, notice));
  ASSERT_TRUE(frame);
  EXPECT_EQ(std::string(frame->as<Notice>().text).size(), sizeof(notice.text) - 1);
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
  EXPECT_EQ(address->port, 4711);
  EXPECT_EQ(address->token[15], 15);
  for (const char* bad : {"", "127.0.0.1:", "127.0.0.1:0:000102030405060708090a0b0c0d0e0f",
                          "127.0.0.1:70000:000102030405060708090a0b0c0d0e0f",
                          "10.0.0.1:4711:000102030405060708090a0b0c0d0e0f",
                          "127.0.0.1:4711:000102030405060708090a0b0c0d0e0", "127.0.0.1:4711"}) {
    EXPECT_FALSE(parse_id_text(bad)) << bad;
  }
  EXPECT_FALSE(parse_id_text(good + "0"));
}

TEST(StoreTest, GoesOnWhileStrangersKnock) {
  npuCclId id;
  ASSERT_EQ(make_id(&id), NPU_OK);
  const Address address = *read_id(id);
  const std::atomic<bool> stop{false};
  const Offer offer{address, {4096, 1, 2, 0}, 0, {}, Clock::now() + std::chrono::seconds(20),
                    &stop};
  std::optional<Refusal> refusal;
  Welcome welcome{};
  std::thread store([&] { refusal = serve_store(offer, {"zero"}, &welcome); });
  std::vector<Fd> strangers;
  Hello hello{address.token, offer.agreement, {"one"}, 1, 0};
  Hello liar = hello;
  liar.token[0] ^= 1;
  for (int i = 0; i < 100; i++) {  // more than the store keeps
    strangers.push_back(connect_tcp(address.port, offer.deadline));
    const char noise[] = "GET / HTTP/1.0\r\n\r\n";
    if (i % 3 == 0) send_now(strangers.back(), std::as_bytes(std::span(noise)));
    if (i % 3 == 1) send_now(strangers.back(), make_frame(FrameKind::kHello, liar));
  }
  Offer other = offer;
  other.rank = 1;
  Welcome answer{};
  EXPECT_FALSE(ask_store(other, hello.name, &answer));
  store.join();
  EXPECT_FALSE(refusal);
  EXPECT_STREQ(welcome.names[1].text, "one");
  EXPECT_STREQ(answer.names[0].text, "zero");
}

}  // namespace
}  // namespace npu::ccl
