// SPDX-License-Identifier: Apache-2.0
// One function per pair of operation and algorithm (the rows of algorithm.cpp), and the phases that several of them share.
#pragma once

#include "libnpu/ccl/schedule/algorithms/task.h"

namespace npu::ccl {

void all_reduce_doubling(Task& task);
void all_reduce_direct(Task& task);
void all_reduce_flood(Task& task);
void all_reduce_halving(Task& task);
void all_reduce_ring(Task& task);
void all_reduce_hierarchical(Task& task);

void all_gather_direct(Task& task);
void all_gather_ring(Task& task);
void all_gather_doubling(Task& task);
void all_gather_bruck(Task& task);
void all_gather_hierarchical(Task& task);

void reduce_scatter_direct(Task& task);
void reduce_scatter_ring(Task& task);
void reduce_scatter_halving(Task& task);
void reduce_scatter_bruck(Task& task);
void reduce_scatter_hierarchical(Task& task);

void broadcast_tree(Task& task);
void broadcast_scatter_gather(Task& task);
void broadcast_chain(Task& task);
void reduce_tree(Task& task);
void reduce_scatter_gather(Task& task);

void gather_direct(Task& task);
void gather_tree(Task& task);
void scatter_direct(Task& task);
void scatter_tree(Task& task);

void all_to_all_direct(Task& task);
void all_to_all_pairwise(Task& task);
void all_to_all_bruck(Task& task);

// Straight in the other ranks' memory (rule 9 of schedule.h).
void all_reduce_window(Task& task);
void all_gather_window(Task& task);
void reduce_scatter_window(Task& task);
void broadcast_window(Task& task);
void reduce_window(Task& task);
void all_to_all_window(Task& task);

void barrier_direct(Task& task);
void barrier_dissemination(Task& task);
void send_recv(Task& task);

// Phases. |block| names the pieces of the vector; piece r belongs to rank r.

// Piece |rank| of the reduction of all inputs -> |to|.
void scatter_phase_direct(Task& task, const BlockOf& block, Place to);
// Piece |rank| of the output is complete here; afterwards all pieces are.
void gather_phase_direct(Task& task, const BlockOf& block);
void gather_phase_ring(Task& task, const BlockOf& block);
void gather_phase_bruck(Task& task, const BlockOf& block, Rotation order);
void scatter_phase_hierarchical(Task& task, const BlockOf& block, Place to);
void gather_phase_hierarchical(Task& task, const BlockOf& block);

}  // namespace npu::ccl
