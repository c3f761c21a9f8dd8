#!/usr/bin/env bash
# An object of the repository is missing.
. "$(dirname "$0")/lib.sh"
begin
git clone --quiet --bare "$SOURCE" "$TOP/work/origin.git" && git remote add origin "$TOP/work/origin.git" && git fetch --quiet
lose() { local id; id=$(git rev-parse "$1"); rm -f ".git/objects/${id:0:2}/${id:2}"; }
echo "new" >new.txt && git add new.txt && git commit --quiet -m new && git push --quiet origin main
lose HEAD:new.txt
keep source "$SOURCE"
refused git vault snapshot
restores "$VAULT" "$SNAP"
gives 2 "2:git fsck"
skip "3:" "it borrows nothing"
skip "5:" "it is committed"
skip "6:" "the remote had it"
follow
unchanged source "$TOP/disk/workspace-copy"
restores "$VAULT" @latest "$SOURCE"

note "only the index names it, and the file is there"
echo "only staged" >only.txt && git add only.txt && lose :only.txt && rm -r "$TOP/disk/workspace-copy"
refused git vault snapshot
put path/to/file only.txt
gives GV-2005 "4:git vault snapshot" # the remote never had it
gives 2 "2:git fsck"
skip "3:" "it borrows nothing"
skip "6:" "the file had it"
follow
restores "$VAULT" @latest "$SOURCE"

note "the objects were borrowed, and the store lies elsewhere now"
git clone --quiet --shared "$SOURCE" "$TOP/work/borrower" && mv "$SOURCE" "$TOP/work/moved" && cd "$TOP/work/borrower"
rm -r "$TOP/disk/workspace-copy"
refused git vault snapshot
gives any "2:git fsck"
put /where/it/lies/now/objects "$TOP/work/moved/.git/objects"
for one in 4 5 6; do skip "$one:" "the store had it"; done
follow
restores "$(newest_vault)" @latest "$TOP/work/borrower"
cd / && mv "$TOP/work/moved" "$SOURCE" && cd "$SOURCE"

note "no remote has it, a snapshot in the older vault does"
SNAP=$(git vault --json show @latest | sed 's/.*"id":"\([a-z]*\)".*/\1/')
git remote remove origin && rm .git/FETCH_HEAD
mv .git/objects/pack/*.pack "$TOP/all.pack" && rm -f .git/objects/pack/* && git unpack-objects -q <"$TOP/all.pack"
lose HEAD:new.txt && rm -r "$TOP/disk/workspace-copy"
git vault init --new
refused git vault snapshot
gives 2 "2:git fsck"
skip "3:" "it borrows nothing"
skip "4:" "there is no remote"
skip "5:" "it is committed"
follow
safe "the object is back, from the remote, the file or an older vault, and the next snapshot is sealed"
safe_in_new_vault
restores "$VAULT" "$SNAP" "$DIR"
finish
