using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace SnapshotFlow.Api.Requests;

/// <summary>Times as each service writes them, all UTC.</summary>
internal static class Timestamps
{
    /// <summary>Nova and Glance: whole seconds and a Z.</summary>
    public static string Seconds(this DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>Cinder, and Nova's usage attributes: microseconds and no zone.</summary>
    public static string Microseconds(this DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff", CultureInfo.InvariantCulture);

    /// <summary>Runs: milliseconds and a Z.</summary>
    internal sealed class Milliseconds : JsonConverter<DateTimeOffset>
    {
        public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.GetDateTimeOffset();

        public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) =>
            writer.WriteStringValue(value.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));
    }
}
