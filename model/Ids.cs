using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace SnapshotFlow.Model;

/// <summary>An identifier of one kind of thing: a UUID with a type, so that two kinds cannot be swapped.</summary>
public interface IId<TSelf> : IParsable<TSelf> where TSelf : struct, IId<TSelf>
{
    /// <summary>The UUID.</summary>
    Guid Value { get; }

    /// <summary>Gives the UUID its type.</summary>
    static abstract TSelf From(Guid value);

    /// <summary>Parses the canonical form (8-4-4-4-12 hexadecimal digits, either case), the only one that is accepted.</summary>
    static bool TryParse([NotNullWhen(true)] string? text, out TSelf id)
    {
        var ok = Guid.TryParseExact(text, "D", out var value);
        id = ok ? TSelf.From(value) : default;
        return ok;
    }
}

/// <summary>Writes an id as the plain UUID string, also as a dictionary key; anything else is refused when read.</summary>
public sealed class IdJsonConverter<T> : JsonConverter<T> where T : struct, IId<T>
{
    /// <inheritdoc/>
    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        IId<T>.TryParse(reader.GetString(), out var id) ? id : throw new JsonException($"a {typeof(T).Name} is a UUID");

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WriteStringValue(value.Value);

    /// <inheritdoc/>
    public override T ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => Read(ref reader, typeToConvert, options);

    /// <inheritdoc/>
    public override void WriteAsPropertyName(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WritePropertyName(value.Value.ToString());
}

/// <summary>A server (Nova: instance).</summary>
[JsonConverter(typeof(IdJsonConverter<ServerId>))]
public readonly record struct ServerId(Guid Value) : IId<ServerId>
{
    /// <inheritdoc/>
    public static ServerId From(Guid value) => new(value);

    /// <summary>A new random id.</summary>
    public static ServerId New() => new(Guid.NewGuid());

    /// <inheritdoc/>
    public static ServerId Parse(string s, IFormatProvider? provider = null) => IId<ServerId>.TryParse(s, out var id) ? id : throw new FormatException($"'{s}' is not a UUID");

    /// <inheritdoc/>
    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out ServerId result) => IId<ServerId>.TryParse(s, out result);

    /// <summary>The canonical form, lower case.</summary>
    public override string ToString() => Value.ToString("D");
}

/// <summary>A volume of the block storage.</summary>
[JsonConverter(typeof(IdJsonConverter<VolumeId>))]
public readonly record struct VolumeId(Guid Value) : IId<VolumeId>
{
    /// <inheritdoc/>
    public static VolumeId From(Guid value) => new(value);

    /// <summary>A new random id.</summary>
    public static VolumeId New() => new(Guid.NewGuid());

    /// <inheritdoc/>
    public static VolumeId Parse(string s, IFormatProvider? provider = null) => IId<VolumeId>.TryParse(s, out var id) ? id : throw new FormatException($"'{s}' is not a UUID");

    /// <inheritdoc/>
    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out VolumeId result) => IId<VolumeId>.TryParse(s, out result);

    /// <summary>The canonical form, lower case.</summary>
    public override string ToString() => Value.ToString("D");
}

/// <summary>A snapshot of one volume.</summary>
[JsonConverter(typeof(IdJsonConverter<SnapshotId>))]
public readonly record struct SnapshotId(Guid Value) : IId<SnapshotId>
{
    /// <inheritdoc/>
    public static SnapshotId From(Guid value) => new(value);

    /// <summary>A new random id.</summary>
    public static SnapshotId New() => new(Guid.NewGuid());

    /// <inheritdoc/>
    public static SnapshotId Parse(string s, IFormatProvider? provider = null) => IId<SnapshotId>.TryParse(s, out var id) ? id : throw new FormatException($"'{s}' is not a UUID");

    /// <inheritdoc/>
    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out SnapshotId result) => IId<SnapshotId>.TryParse(s, out result);

    /// <summary>The canonical form, lower case.</summary>
    public override string ToString() => Value.ToString("D");
}

/// <summary>An image; also names the run that makes it.</summary>
[JsonConverter(typeof(IdJsonConverter<ImageId>))]
public readonly record struct ImageId(Guid Value) : IId<ImageId>
{
    /// <inheritdoc/>
    public static ImageId From(Guid value) => new(value);

    /// <summary>A new random id.</summary>
    public static ImageId New() => new(Guid.NewGuid());

    /// <inheritdoc/>
    public static ImageId Parse(string s, IFormatProvider? provider = null) => IId<ImageId>.TryParse(s, out var id) ? id : throw new FormatException($"'{s}' is not a UUID");

    /// <inheritdoc/>
    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out ImageId result) => IId<ImageId>.TryParse(s, out result);

    /// <summary>The canonical form, lower case.</summary>
    public override string ToString() => Value.ToString("D");
}
