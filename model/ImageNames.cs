using System.Globalization;
using System.Text;

namespace SnapshotFlow.Model;

/// <summary>Which names an image may have. Source: Nova's schema of <c>createImage</c>; the upper bound is stricter, see <see cref="MaxLength"/>.</summary>
public static class ImageNames
{
    /// <summary>Nova's own bound, in Unicode characters.</summary>
    public const int NovaMaxLength = 255;

    /// <summary>What a snapshot of the image's run is called: this, and the name of the image. Source: Nova.</summary>
    public const string SnapshotPrefix = "snapshot for ";

    /// <summary>
    /// The longest name, 242 characters: with <see cref="SnapshotPrefix"/> it makes the 255 that Block Storage allows a snapshot's name. Nova accepts 255 and
    /// then fails while the guest is frozen; refusing first is a deliberate deviation.
    /// </summary>
    public const int MaxLength = NovaMaxLength - 13;

    /// <summary>What is wrong with a name, in Nova's words; null when nothing is.</summary>
    public static string? Problem(string name)
    {
        var length = name.EnumerateRunes().Count();
        return length switch
        {
            0 => "Invalid input for field/attribute name. Value: . '' is too short",
            > NovaMaxLength => $"Invalid input for field/attribute name. Value: {name}. '{name}' is too long",
            _ when !IsPrintable(name) =>
                "An invalid 'name' value was provided. The name must be: printable characters. Can not start or end with whitespace.",
            > MaxLength =>
                $"Invalid input for field/attribute name. It has {length} characters and may have {MaxLength}: each volume snapshot is named '{SnapshotPrefix}<name>', "
                + $"and may have {NovaMaxLength}. Value: {name}. '{name}' is too long",
            _ => null,
        };
    }

    /// <summary>Refuses a name that no image may have.</summary>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.InvalidRequest"/>.</exception>
    public static void Require(string name)
    {
        if (Problem(name) is { } problem)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, problem);
        }
    }

    private static bool IsPrintable(string name) =>
        name.All(c => IsVisible(c) || IsSpace(c)) && !IsSpace(name[0]) && !IsSpace(name[^1]);

    // A surrogate half is no visible character, so everything beyond U+FFFF (four bytes of UTF-8, which the image service cannot store) is refused here too.
    private static bool IsVisible(char c) => CharUnicodeInfo.GetUnicodeCategory(c) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned
        or UnicodeCategory.SpaceSeparator or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator);

    private static bool IsSpace(char c) => CharUnicodeInfo.GetUnicodeCategory(c) == UnicodeCategory.SpaceSeparator;
}
