#!/usr/bin/env perl
# Changes a signed text as FORMAT.md describes it, and puts its last two lines right: with a key file all of it, as somebody
# would who has the key; without one only the BLAKE3.
#
#     forge.pl [--key FILE] RECORD 's/old/new/'      changes RECORD
#     forge.pl --hash FILE                           prints the BLAKE3 of a file
use strict;
use warnings;
use Digest::SHA qw(hmac_sha256 hmac_sha256_hex);

my @INITIAL = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19);
my @PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8);
my @LANES = ([0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]);
my ($START, $END, $PARENT, $ROOT) = (1, 2, 4, 8);

sub turned { my ($word, $by) = @_; return (($word >> $by) | ($word << (32 - $by))) & 0xFFFFFFFF; }

sub compress {
    my ($chain, $block, $counter, $length, $flags) = @_;
    my @word = unpack 'V16', $block . "\0" x (64 - length $block);
    my @state = (@$chain, @INITIAL[0 .. 3], $counter & 0xFFFFFFFF, 0, $length, $flags);
    for (1 .. 7) {
        for my $lane (0 .. 7) {
            my ($p, $q, $r, $s) = @{$LANES[$lane]};
            for my $half ([$word[2 * $lane], 16, 12], [$word[2 * $lane + 1], 8, 7]) {
                $state[$p] = ($state[$p] + $state[$q] + $half->[0]) & 0xFFFFFFFF;
                $state[$s] = turned($state[$s] ^ $state[$p], $half->[1]);
                $state[$r] = ($state[$r] + $state[$s]) & 0xFFFFFFFF;
                $state[$q] = turned($state[$q] ^ $state[$r], $half->[2]);
            }
        }
        @word = @word[@PERMUTATION];
    }
    return [map { $state[$_] ^ $state[$_ + 8] } 0 .. 7];
}

# The chaining value of some text whose first chunk has this number.
sub subtree {
    my ($text, $counter, $is_root) = @_;
    my $root = $is_root ? $ROOT : 0;
    if (length $text > 1024) {
        my $left = 1024;
        $left *= 2 while $left * 2 < length $text;
        my @below = (subtree(substr($text, 0, $left), $counter), subtree(substr($text, $left), $counter + $left / 1024));
        return compress(\@INITIAL, pack('V16', map { @$_ } @below), 0, 64, $PARENT | $root);
    }
    my $chain = \@INITIAL;
    my $last = length $text ? int((length($text) - 1) / 64) : 0;
    for my $number (0 .. $last) {
        my $block = substr $text, 64 * $number, 64;
        my $flags = ($number == 0 ? $START : 0) | ($number == $last ? $END | $root : 0);
        $chain = compress($chain, $block, $counter, length $block, $flags);
    }
    return $chain;
}

sub blake3 { return unpack 'H*', pack 'V8', @{subtree($_[0], 0, 1)}; }

sub content { my ($path) = @_; open my $file, '<:raw', $path or die "$path: $!\n"; local $/; return scalar <$file>; }

if ($ARGV[0] eq '--hash') { print blake3(content($ARGV[1])); exit; }

my $secret;
if ($ARGV[0] eq '--key') { shift; ($secret) = content(shift) =~ /^secret = "([0-9a-f]{64})"/m or die "no secret\n"; }
my ($record, $change) = @ARGV;
my ($body, $digest, $key, $tag) = content($record) =~ /\A(.*)# blake3 (\S+)\n# hmac-sha256 (\S+) (\S+)\n\z/s or die "no record\n";
die "the BLAKE3 here is wrong\n" unless blake3($body) eq $digest;

my $signed = sub {
    my ($text) = @_;
    my ($vault) = $text =~ /^vault = "([0-9a-f]{32})"/m;
    my ($repository) = $text =~ /^repository = "([0-9a-f]{32})"/m;
    my ($purpose) = map { s/ entry//r } $text =~ /\A# git-vault (vault|log entry|manifest) /;
    my $derived = hmac_sha256("git-vault/v1/$purpose\x01", hmac_sha256(pack('H*', $secret), pack('H*', $vault)));
    return hmac_sha256_hex("git-vault/v1/$purpose\0" . pack('H*H*', $vault, $repository) . pack('Q<', length $text) . $text, $derived);
};
die "the HMAC here is wrong\n" unless !$secret || $signed->($body) eq $tag;

$_ = $body;
eval $change;
die "nothing was changed\n" if $@ || $_ eq $body;
$tag = $signed->($_) if $secret;
open my $file, '>:raw', $record or die "$record: $!\n";
print $file $_, "# blake3 ", blake3($_), "\n# hmac-sha256 $key $tag\n";
close $file or die "$record: $!\n";
