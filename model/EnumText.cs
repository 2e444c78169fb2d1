using System.Collections.Frozen;
using System.Reflection;
using System.Text.Json.Serialization;

namespace SnapshotFlow.Model;

/// <summary>The spelling of a closed list of names as callers and the database see it: the member's <see cref="JsonStringEnumMemberNameAttribute"/>.</summary>
public static class EnumText
{
    /// <summary>The spelling of a value.</summary>
    public static string ToText<T>(this T value) where T : struct, Enum => Spelling<T>.Texts[value];

    /// <summary>The value of a spelling; exact, lower and upper case differ.</summary>
    /// <exception cref="FormatException">The text is none of the spellings.</exception>
    public static T Parse<T>(string text) where T : struct, Enum =>
        TryParse<T>(text, out var value) ? value : throw new FormatException($"'{text}' is no {typeof(T).Name}; known are {string.Join(", ", Spelling<T>.Texts.Values)}");

    /// <summary>The value of a spelling, if it is one.</summary>
    public static bool TryParse<T>(string? text, out T value) where T : struct, Enum
    {
        value = default;
        return text is not null && Spelling<T>.Values.TryGetValue(text, out value);
    }

    private static class Spelling<T> where T : struct, Enum
    {
        public static readonly FrozenDictionary<T, string> Texts = typeof(T).GetFields(BindingFlags.Public | BindingFlags.Static)
            .ToFrozenDictionary(f => (T)f.GetValue(null)!, f => f.GetCustomAttribute<JsonStringEnumMemberNameAttribute>()?.Name ?? f.Name);

        public static readonly FrozenDictionary<string, T> Values = Texts.ToFrozenDictionary(p => p.Value, p => p.Key, StringComparer.Ordinal);
    }
}
