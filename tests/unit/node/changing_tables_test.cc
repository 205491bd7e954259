// Protects reports from growing with every table that ever was: named are those that somebody waits
// for, as the map says, whoever leads.
#include "node/changing_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ringleader {
namespace {

using coordinator::v1::MapUpdate;
using testing::ElementsAre;
using testing::IsEmpty;

void AddTable(uint64_t id, coordinator::v1::TableState state, MapUpdate* update) {
  update->add_tables()->set_id(id);
  update->mutable_tables()->rbegin()->set_state(state);
}

TEST(ChangingTablesTest, ATableIsNamedWhileItIsMadeAndWhileItEnds) {
  ChangingTables tables;
  MapUpdate whole;
  whole.set_complete(true);
  AddTable(1, coordinator::v1::TABLE_STATE_ACTIVE, &whole);
  AddTable(2, coordinator::v1::TABLE_STATE_DELETING, &whole);
  AddTable(3, coordinator::v1::TABLE_STATE_CREATING, &whole);
  tables.Take(whole);
  EXPECT_THAT(tables.ids(), ElementsAre(2, 3));
  MapUpdate later;
  AddTable(1, coordinator::v1::TABLE_STATE_DELETING, &later);
  AddTable(3, coordinator::v1::TABLE_STATE_ACTIVE, &later);
  later.add_deleted_tables(2);
  tables.Take(later);
  EXPECT_THAT(tables.ids(), ElementsAre(1));
  tables.Take(MapUpdate());
  EXPECT_THAT(tables.ids(), ElementsAre(1));
  MapUpdate anew;  // a deletion was missed
  anew.set_complete(true);
  tables.Take(anew);
  EXPECT_THAT(tables.ids(), IsEmpty());
}

}  // namespace
}  // namespace ringleader
