#!/bin/sh
# Prints a Homebrew formula for a release: templates/packaging/formula.sh HOMEPAGE URL ARCHIVE
#
# ARCHIVE is what lies at URL: its checksum goes into the formula. `brew audit --formula` and `brew test` try it where there is a brew.
set -eu

HOMEPAGE=${1:?the home page} URL=${2:?the URL of the archive} ARCHIVE=${3:?the archive}
for text in "$HOMEPAGE" "$URL"; do
  case $text in
    *[!A-Za-z0-9:/._~%+@=\&?-]* | '') echo "formula.sh: '$text' is no URL" >&2; exit 1 ;;
    https://*) ;;
    *) echo "formula.sh: '$text' does not begin with https://" >&2; exit 1 ;;
  esac
done
if command -v sha256sum >/dev/null; then SUM=$(sha256sum <"$ARCHIVE"); else SUM=$(shasum -a 256 <"$ARCHIVE"); fi
SUM=${SUM%% *}

cat <<FORMULA
class GitVault < Formula
  desc "Signed snapshots of the work that git does not keep"
  homepage "$HOMEPAGE"
  url "$URL"
  sha256 "$SUM"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args
    man1.mkpath
    system bin/"git-vault", "--quiet", "man", man1
    generate_completions_from_executable(bin/"git-vault", "completions")
  end

  test do
    ENV["GIT_VAULT_HOME"] = (testpath/"vaults").to_s
    system "git", "init", "work"
    (testpath/"work/notes.txt").write "notes"
    system bin/"git-vault", "-C", testpath/"work", "snapshot"
    system bin/"git-vault", "-C", testpath/"work", "restore", "@latest", testpath/"restored"
    assert_equal "notes", (testpath/"restored/notes.txt").read
  end
end
FORMULA
