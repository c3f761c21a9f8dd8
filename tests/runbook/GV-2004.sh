#!/usr/bin/env bash
# The repository uses something that cannot be captured whole.
. "$(dirname "$0")/lib.sh"
begin
keep vault "$VAULT"
only() { # STEP: the steps that are for other cases
  local one
  for one in 2 3 4 6; do [ "$one" = "$1" ] || skip "$one:" "another case"; done
  rm -rf "$TOP/disk/workspace-copy" "VALUE[/path/under/WHY]"
}

note "a linked worktree that has lost its .git"
git worktree add -q ../side && echo only there > ../side/new && rm ../side/.git
refused git vault snapshot
put /path/to/repository "$SOURCE"
only 6
follow
git worktree remove --force ../side && git branch -q -D side

note "a nested repository with other object ids"
mkdir -p nested/inner && git -C nested/inner init -q --object-format=sha256
( cd nested/inner && echo one > file && git add file && git commit -q -m one )
keep source "$SOURCE"
refused git vault snapshot
put path/of/the/nested/repository nested/inner; put /path/of/the/nested/repository /nested/inner
only 4
follow
unchanged source "$TOP/disk/workspace-copy"
[ "$(vaults | wc -l)" = 2 ]
rm -rf nested; git config --unset vault.exclude

note "bare, with a working tree all the same"
cd "$SOURCE" && git config core.bare true
refused git vault snapshot
only 2
follow

note "a link in the git directory"
mv .git/description "$HOME/description" && ln -s "$HOME/description" .git/description
refused git vault snapshot
put /path/under/WHY "$SOURCE/.git/description"
only 3
follow
safe "the workspace is copied by other means, and sealed once nothing is in it that a snapshot would lose"
restores "$VAULT" @latest "$SOURCE"; restores "$VAULT" "$SNAP"
finish
