using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Unit;

public sealed class NamingAnImage
{
    private const string NotPrintable = "An invalid 'name' value was provided. The name must be: printable characters. Can not start or end with whitespace.";

    public static TheoryData<string> Good =>
    [
        "snap-1",
        "a",
        "two words",
        "₡", // a currency sign, three bytes of UTF-8
        "Ümläut 東京",
        "a\u00A0b", // a no-break space is a space separator, allowed inside
        new string('x', ImageNames.MaxLength),
        new string('₡', ImageNames.MaxLength),
    ];

    public static TheoryData<string> NotPrintableNames =>
    [
        " snap", "snap ", " ", "\u00A0snap", "snap\u3000", "a\tb", "a\nb", "snap\n", "a\0b", "a\u200Bb", "a\u2028b", "a\uE000b", "a\uFFFFb",
        "😀", "snap 😀", "a\uD83Db",
    ];

    [Theory]
    [MemberData(nameof(Good))]
    public void A_good_name_has_no_problem(string name)
    {
        Assert.Null(ImageNames.Problem(name));
        ImageNames.Require(name);
    }

    [Theory]
    [MemberData(nameof(NotPrintableNames), DisableDiscoveryEnumeration = true)]
    public void A_name_with_what_is_not_printable_or_with_spaces_around_it_is_refused(string name) => Assert.Equal(NotPrintable, ImageNames.Problem(name));

    [Fact]
    public void An_empty_name_is_too_short() => Assert.EndsWith("is too short", ImageNames.Problem(""), StringComparison.Ordinal);

    [Fact]
    public void A_name_of_256_characters_is_too_long_as_in_Nova() =>
        Assert.EndsWith("' is too long", ImageNames.Problem(new string('x', 256)), StringComparison.Ordinal);

    [Theory]
    [InlineData(243)]
    [InlineData(255)]
    public void A_name_that_leaves_no_room_for_the_snapshots_names_is_refused_and_says_so(int length) =>
        Assert.Contains("characters and may have 242: each volume snapshot is named", ImageNames.Problem(new string('x', length)), StringComparison.Ordinal);

    [Fact]
    public void The_longest_name_makes_the_longest_snapshot_name() =>
        Assert.Equal(255, (ImageNames.SnapshotPrefix + new string('x', ImageNames.MaxLength)).Length);

    [Fact]
    public void A_refused_name_is_an_invalid_request() =>
        Assert.Equal(ErrorKind.InvalidRequest, Assert.Throws<SnapshotFlowException>(() => ImageNames.Require("")).Kind);
}
