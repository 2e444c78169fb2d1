using System.Text.RegularExpressions;

namespace SnapshotFlow.Api.Versions;

/// <summary>A microversion: which variant of a service's behaviour a request asks for.</summary>
internal readonly partial record struct Microversion(int Major, int Minor) : IComparable<Microversion>
{
    /// <summary>Null when the text is not two numbers with a dot between. Source: Nova, <c>api_version_request</c>.</summary>
    public static Microversion? Parse(string text) =>
        Format().Match(text) is { Success: true } match && int.TryParse(match.Groups[1].ValueSpan, out var major) && int.TryParse(match.Groups[2].ValueSpan, out var minor)
            ? new(major, minor)
            : null;

    public int CompareTo(Microversion other) => (Major, Minor).CompareTo((other.Major, other.Minor));

    public static bool operator <(Microversion left, Microversion right) => left.CompareTo(right) < 0;

    public static bool operator >(Microversion left, Microversion right) => left.CompareTo(right) > 0;

    public static bool operator <=(Microversion left, Microversion right) => left.CompareTo(right) <= 0;

    public static bool operator >=(Microversion left, Microversion right) => left.CompareTo(right) >= 0;

    public override string ToString() => $"{Major}.{Minor}";

    [GeneratedRegex(@"\A([1-9][0-9]{0,8})\.([1-9][0-9]{0,8}|0)\z", RegexOptions.CultureInvariant)]
    private static partial Regex Format();
}
