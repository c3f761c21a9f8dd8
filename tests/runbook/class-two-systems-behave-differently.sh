#!/usr/bin/env bash
# The same workspace on two file systems, and the steps of the class on each.
. "$(dirname "$0")/lib.sh"
need_mounts
begin
mounted -t tmpfs tmpfs "$TOP/other"
for system in "$TOP/work" "$TOP/other"; do
  [ -d "$system/project" ] || cp -a "$SOURCE" "$system/project"
  cd "$system/project"
  DIR=$system/restored
  skip "cargo test" "a drill is one of these tests"
  follow "Two systems behave differently"
  same_work "$system/project" "$DIR"
done
safe "both systems give back the same work, or nothing is released"
same_work "$TOP/work/restored" "$TOP/other/restored"
finish
