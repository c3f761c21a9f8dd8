#!/usr/bin/env bash
# The repository uses something that cannot be captured whole.
. "$(dirname "$0")/lib.sh"
begin
keep vault "$VAULT"
only() { # STEP: the steps that are for other cases
  local one
  for one in 2 3 4 5; do [ "$one" = "$1" ] || skip "$one:" "another case"; done
  rm -rf "$TOP/disk/workspace-copy" "VALUE[/path/under/WHY]"
}

note "a nested repository"
build_repository nested/inner
keep source "$SOURCE"
refused git vault snapshot
put path/of/the/nested/repository nested/inner; put /path/of/the/nested/repository /nested/inner
only 5
follow
unchanged source "$TOP/disk/workspace-copy"
[ "$(vaults | wc -l)" = 2 ]
rm -rf nested; git config --unset vault.exclude

note "a partial clone"
git -C "$SOURCE" config uploadpack.allowFilter true
git clone --quiet --filter=blob:none "file://$SOURCE" "$TOP/work/partial" && cd "$TOP/work/partial"
refused git vault snapshot
only 2
gives any "extensions.partialClone" # git has not set it for long
follow
restores "$(newest_vault)" @latest "$TOP/work/partial"

note "bare, with a working tree all the same"
cd "$SOURCE" && git config core.bare true
refused git vault snapshot
only 3
follow

note "a link in the git directory"
mv .git/description "$HOME/description" && ln -s "$HOME/description" .git/description
refused git vault snapshot
put /path/under/WHY "$SOURCE/.git/description"
only 4
follow
safe "the workspace is copied by other means, and sealed once nothing is in it that a snapshot would lose"
restores "$VAULT" @latest "$SOURCE"; restores "$VAULT" "$SNAP"
finish
