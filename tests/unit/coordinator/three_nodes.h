// The smallest metadata with something to lose: one coordinator, nodes 1 to 3, and partition 1 with
// a replica on each.
#ifndef RINGLEADER_TESTS_UNIT_COORDINATOR_THREE_NODES_H_
#define RINGLEADER_TESTS_UNIT_COORDINATOR_THREE_NODES_H_

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "coordinator/metadata.h"

namespace ringleader::coordinator {

inline void FormThreeNodes(Metadata& metadata) {
  v1::Command found;
  found.mutable_found_cluster()->set_formation(7);
  found.mutable_found_cluster()->add_incarnations(1);
  found.mutable_found_cluster()->set_partitions(1);
  found.mutable_found_cluster()->set_replicas(3);
  ASSERT_TRUE(metadata.Apply(found).ok());
  v1::Command form;
  v1::FirstReplicas& first = *form.mutable_form_partitions()->add_partitions();
  for (uint64_t node = 1; node <= 3; ++node) {
    v1::Command command;
    command.mutable_register_node()->set_incarnation(1000 + node);
    command.mutable_register_node()->set_address(absl::StrCat("node-", node));
    ASSERT_EQ(metadata.Apply(command).id, node);
    first.add_nodes(node);
  }
  ASSERT_TRUE(metadata.Apply(form).ok());
}

}  // namespace ringleader::coordinator

#endif  // RINGLEADER_TESTS_UNIT_COORDINATOR_THREE_NODES_H_
