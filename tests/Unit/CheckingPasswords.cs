using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Unit;

/// <summary>Password hashes, as users files hold them.</summary>
public sealed class CheckingPasswords
{
    [Fact]
    public void The_password_is_right_and_no_other_also_after_the_hash_was_written_down_and_read()
    {
        var hash = PasswordHash.Parse(PasswordHash.Of("correct horse", 1000).ToString());
        Assert.Equal(1000, hash.Rounds);
        Assert.True(hash.Verify("correct horse"));
        Assert.False(hash.Verify("correct horsf"));
        Assert.False(hash.Verify(""));
    }

    [Fact]
    public void The_same_password_has_another_hash_each_time() =>
        Assert.NotEqual(PasswordHash.Of("correct horse", 1000).ToString(), PasswordHash.Of("correct horse", 1000).ToString());

    [Fact]
    public void A_new_hash_has_as_many_rounds_as_a_password_that_somebody_thought_of_needs() => Assert.Equal(210_000, PasswordHash.Of("correct horse").Rounds);

    [Fact]
    public void Nobodys_hash_takes_the_rounds_it_is_told_and_no_password_is_right()
    {
        var nobody = PasswordHash.OfNobody(1234);
        Assert.Equal(1234, PasswordHash.Parse(nobody.ToString()).Rounds);
        Assert.False(nobody.Verify(""));
        Assert.NotEqual(nobody.ToString(), PasswordHash.OfNobody(1234).ToString());
    }

    [Theory]
    [InlineData("open sesame")]
    [InlineData("pbkdf2-sha512:1000:AAAAAAAAAAAAAAAAAAAAAA==")]
    [InlineData("pbkdf2-sha1:1000:AAAAAAAAAAAAAAAAAAAAAA==:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")]
    [InlineData("pbkdf2-sha512:999:AAAAAAAAAAAAAAAAAAAAAA==:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")]
    [InlineData("pbkdf2-sha512:10000001:AAAAAAAAAAAAAAAAAAAAAA==:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")]
    [InlineData("pbkdf2-sha512:1000:AAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")]
    public void What_is_no_hash_is_refused_and_not_repeated(string text) =>
        Assert.DoesNotContain(text, Assert.Throws<FormatException>(() => PasswordHash.Parse(text)).Message, StringComparison.Ordinal);
}
