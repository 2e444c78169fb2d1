using Temporalio.Api.Enums.V1;

namespace SnapshotFlow.TemporalDev.Visibility;

/// <summary>How the values of an attribute are written, compared and ordered in a list filter.</summary>
public enum AttributeKind
{
    /// <summary>An exact string, compared by code point.</summary>
    Keyword,

    /// <summary>A text of words; <c>=</c> asks for its words, in any order and case.</summary>
    Text,

    /// <summary>A 64-bit integer.</summary>
    Int,

    /// <summary>A floating-point number.</summary>
    Double,

    /// <summary>True or false.</summary>
    Bool,

    /// <summary>An instant, written as RFC 3339 text or as nanoseconds since the epoch.</summary>
    Datetime,

    /// <summary>Several keywords; <c>=</c> asks whether one of them is equal.</summary>
    KeywordList,

    /// <summary>A workflow status, written by its name.</summary>
    Status,

    /// <summary>A length of time in nanoseconds, written as a number, as <c>1h30m</c> or as <c>hh:mm:ss</c>.</summary>
    Duration,
}

/// <summary>Between our kinds and the names that payloads and operators use.</summary>
public static class AttributeKinds
{
    /// <summary>The name in the payload metadata <c>type</c> and in the start flag <c>--search-attribute Name=Type</c>.</summary>
    public static string TypeName(AttributeKind kind) => kind switch
    {
        AttributeKind.Status => nameof(AttributeKind.Keyword),
        AttributeKind.Duration => nameof(AttributeKind.Int),
        _ => kind.ToString(),
    };

    public static bool TryParse(string typeName, out AttributeKind kind) =>
        Enum.TryParse(typeName, ignoreCase: true, out kind) && Enum.IsDefined(kind) && kind <= AttributeKind.KeywordList;

    /// <summary>Null for a type that is unspecified or unknown.</summary>
    public static AttributeKind? FromWire(IndexedValueType type) => type switch
    {
        IndexedValueType.Text => AttributeKind.Text,
        IndexedValueType.Keyword => AttributeKind.Keyword,
        IndexedValueType.Int => AttributeKind.Int,
        IndexedValueType.Double => AttributeKind.Double,
        IndexedValueType.Bool => AttributeKind.Bool,
        IndexedValueType.Datetime => AttributeKind.Datetime,
        IndexedValueType.KeywordList => AttributeKind.KeywordList,
        _ => null,
    };

    public static IndexedValueType ToWire(AttributeKind kind) => kind switch
    {
        AttributeKind.Text => IndexedValueType.Text,
        AttributeKind.Int or AttributeKind.Duration => IndexedValueType.Int,
        AttributeKind.Double => IndexedValueType.Double,
        AttributeKind.Bool => IndexedValueType.Bool,
        AttributeKind.Datetime => IndexedValueType.Datetime,
        AttributeKind.KeywordList => IndexedValueType.KeywordList,
        _ => IndexedValueType.Keyword,
    };
}
