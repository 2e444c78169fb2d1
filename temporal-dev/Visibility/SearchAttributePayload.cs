using System.Globalization;
using System.Text.Json;
using Google.Protobuf;
using Temporalio.Api.Common.V1;

namespace SnapshotFlow.TemporalDev.Visibility;

/// <summary>
/// The payload of one search attribute: JSON in <c>data</c>, its type's name in the metadata <c>type</c>. A <c>binary/null</c> encoding, JSON <c>null</c> and
/// <c>[]</c> mean: no value.
/// </summary>
public static class SearchAttributePayload
{
    private const string TypeKey = "type";
    private const string EncodingKey = "encoding";

    private static readonly ByteString NullEncoding = ByteString.CopyFromUtf8("binary/null");
    private static readonly ByteString JsonEncoding = ByteString.CopyFromUtf8("json/plain");

    /// <summary>Whether the payload removes the attribute instead of setting it.</summary>
    public static bool IsRemoval(Payload payload)
    {
        if (payload.Metadata.TryGetValue(EncodingKey, out var encoding) && encoding == NullEncoding)
        {
            return true;
        }

        var json = payload.Data.Span.Trim(" \t\r\n"u8);
        return json.IsEmpty || json.SequenceEqual("null"u8) || json.SequenceEqual("[]"u8);
    }

    /// <summary>The payload with the metadata <c>type</c> of its attribute: itself when it has that, else a copy.</summary>
    public static Payload WithType(Payload payload, AttributeKind kind)
    {
        var name = ByteString.CopyFromUtf8(AttributeKinds.TypeName(kind));
        if (payload.Metadata.TryGetValue(TypeKey, out var given) && given == name)
        {
            return payload;
        }

        var typed = payload.Clone();
        typed.Metadata[TypeKey] = name;
        return typed;
    }

    /// <summary>The kind that the payload says it has; a keyword when it says nothing.</summary>
    public static AttributeKind KindOf(Payload payload) =>
        payload.Metadata.TryGetValue(TypeKey, out var type) && AttributeKinds.TryParse(type.ToStringUtf8(), out var kind) ? kind : AttributeKind.Keyword;

    /// <summary>A payload holding a keyword.</summary>
    public static Payload Keyword(string value) => Of(JsonSerializer.SerializeToUtf8Bytes(value), AttributeKind.Keyword);

    /// <summary>A payload holding an instant, with seconds precision when it has no fraction.</summary>
    public static Payload Datetime(DateTimeOffset value) => Of(JsonSerializer.SerializeToUtf8Bytes(Timestamps.Text(value)), AttributeKind.Datetime);

    /// <summary>
    /// The value for comparing: string, long, double, bool or <see cref="DateTimeOffset"/>; an array of these for several values (always for a keyword list).
    /// Null means no value.
    /// </summary>
    /// <exception cref="FormatException">The data is no value of this kind.</exception>
    public static object? Decode(Payload payload, AttributeKind kind)
    {
        if (IsRemoval(payload))
        {
            return null;
        }

        try
        {
            using var document = JsonDocument.Parse(payload.Data.Memory);
            var root = document.RootElement;
            if (root.ValueKind == JsonValueKind.Array)
            {
                var values = root.EnumerateArray().Select(element => Scalar(element, kind)).ToArray();
                return values.Length == 1 && kind != AttributeKind.KeywordList ? values[0] : values;
            }

            var value = Scalar(root, kind);
            return kind == AttributeKind.KeywordList ? new[] { value } : value;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or FormatException)
        {
            throw new FormatException($"{payload.Data.ToStringUtf8()} is not a value of type {AttributeKinds.TypeName(kind)}", error);
        }
    }

    private static object Scalar(JsonElement element, AttributeKind kind) => kind switch
    {
        AttributeKind.Int or AttributeKind.Duration => element.ValueKind == JsonValueKind.String
            ? long.Parse(element.GetString()!, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture)
            : element.GetInt64(),
        AttributeKind.Double => element.ValueKind == JsonValueKind.String
            ? double.Parse(element.GetString()!, NumberStyles.Float, CultureInfo.InvariantCulture)
            : element.GetDouble(),
        AttributeKind.Bool => element.ValueKind == JsonValueKind.String ? bool.Parse(element.GetString()!) : element.GetBoolean(),
        AttributeKind.Datetime => Timestamps.Parse(element.GetString()!),
        _ => element.GetString() ?? throw new FormatException("null is not a keyword"),
    };

    private static Payload Of(byte[] json, AttributeKind kind) => new()
    {
        Data = UnsafeByteOperations.UnsafeWrap(json),
        Metadata = { [EncodingKey] = JsonEncoding, [TypeKey] = ByteString.CopyFromUtf8(AttributeKinds.TypeName(kind)) },
    };
}
