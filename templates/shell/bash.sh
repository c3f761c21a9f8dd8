# git-vault: captures the workspace before a git command that can destroy work. For .bashrc:
#     eval "$(git-vault shell-init bash)"
@RISKY@
if declare -F git >/dev/null && [ -z "${__git_vault_shell-}" ]; then
  echo "git-vault: there is a function 'git' already; it is left alone, and git is not guarded" >&2
else
  __git_vault_shell=1
  function git {
    if __git_vault_risky 0 "$@"; then
      if [ -x @PROGRAM@ ]; then
        @PROGRAM@ guard --or-outside -- git "$@"
        return
      fi
      if [ -z "${__git_vault_gone-}" ]; then
        __git_vault_gone=1
        printf 'git-vault: %s is gone; git is not guarded in this shell any more\n' @PROGRAM@ >&2
      fi
    fi
    command git "$@"
  }
fi
