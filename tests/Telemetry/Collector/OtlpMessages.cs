using Google.Protobuf;

namespace SnapshotFlow.Tests.Telemetry.Collector;

/// <summary>A span as it arrived.</summary>
public sealed record ReceivedSpan(
    string Service, string Scope, string Name, string TraceId, string SpanId, string ParentId, ulong Start, ulong End, int Status,
    IReadOnlyDictionary<string, string> Attributes, IReadOnlyList<string> LinkedSpans, IReadOnlyDictionary<string, string> Resource)
{
    /// <summary>STATUS_CODE_ERROR.</summary>
    public bool Failed => Status == 2;
}

/// <summary>A metric as it arrived: one point of one series.</summary>
public sealed record ReceivedPoint(string Service, string Metric, string Unit, IReadOnlyDictionary<string, string> Labels);

/// <summary>Reads the few fields of OTLP that the tests look at. Source of the field numbers: opentelemetry-proto 1.x, trace.proto, metrics.proto, common.proto.</summary>
internal static class OtlpMessages
{
    public static IEnumerable<ReceivedSpan> Spans(ByteString request)
    {
        foreach (var resourceSpans in Messages(request, 1))
        {
            var service = Service(resourceSpans);
            var resource = Resource(resourceSpans);
            foreach (var scopeSpans in Messages(resourceSpans, 2))
            {
                var scope = Messages(scopeSpans, 1).Select(s => Text(s, 1)).FirstOrDefault() ?? "";
                foreach (var span in Messages(scopeSpans, 2))
                {
                    yield return new(
                        service, scope, Text(span, 5), Hex(span, 1), Hex(span, 2), Hex(span, 4), Fixed(span, 7), Fixed(span, 8),
                        (int)Messages(span, 15).Select(s => Number(s, 3)).FirstOrDefault(), Attributes(span, 9), [.. Messages(span, 13).Select(l => Hex(l, 2))], resource);
                }
            }
        }
    }

    public static IEnumerable<ReceivedPoint> Points(ByteString request)
    {
        foreach (var resourceMetrics in Messages(request, 1))
        {
            var service = Service(resourceMetrics);
            foreach (var metric in Messages(resourceMetrics, 2).SelectMany(s => Messages(s, 2)))
            {
                // gauge = 5, sum = 7, histogram = 9; each has its points in field 1, with attributes in 7 (numbers) or 9 (histograms).
                foreach (var (data, attributes) in new[] { (5, 7), (7, 7), (9, 9) })
                {
                    foreach (var point in Messages(metric, data).SelectMany(d => Messages(d, 1)))
                    {
                        yield return new(service, Text(metric, 1), Text(metric, 3), Attributes(point, attributes));
                    }
                }
            }
        }
    }

    private static string Service(ByteString resourceData) => Resource(resourceData).GetValueOrDefault("service.name", "");

    private static Dictionary<string, string> Resource(ByteString resourceData) => Messages(resourceData, 1).Select(r => Attributes(r, 1)).FirstOrDefault() ?? [];

    private static Dictionary<string, string> Attributes(ByteString message, int field) => Messages(message, field).ToDictionary(
        pair => Text(pair, 1),
        pair => Messages(pair, 2).Select(value => Fields(value).Select(f => f.Number switch
        {
            1 => ((ByteString)f.Value).ToStringUtf8(),
            _ => f.Value.ToString()!,
        }).FirstOrDefault() ?? "").FirstOrDefault() ?? "");

    private static IEnumerable<ByteString> Messages(ByteString message, int number) => Fields(message).Where(f => f.Number == number).Select(f => f.Value).OfType<ByteString>();

    private static string Text(ByteString message, int number) => Messages(message, number).FirstOrDefault()?.ToStringUtf8() ?? "";

    private static string Hex(ByteString message, int number) => Convert.ToHexStringLower((Messages(message, number).FirstOrDefault() ?? ByteString.Empty).Span);

    private static ulong Fixed(ByteString message, int number) => Fields(message).Where(f => f.Number == number).Select(f => f.Value).OfType<ulong>().FirstOrDefault();

    private static ulong Number(ByteString message, int number) => Fixed(message, number);

    private static List<(int Number, object Value)> Fields(ByteString message)
    {
        var fields = new List<(int, object)>();
        var input = message.CreateCodedInput();
        for (var tag = input.ReadTag(); tag != 0; tag = input.ReadTag())
        {
            object value = WireFormat.GetTagWireType(tag) switch
            {
                WireFormat.WireType.Varint => input.ReadUInt64(),
                WireFormat.WireType.Fixed64 => input.ReadFixed64(),
                WireFormat.WireType.Fixed32 => (ulong)input.ReadFixed32(),
                WireFormat.WireType.LengthDelimited => input.ReadBytes(),
                var other => throw new InvalidDataException($"wire type {other} in OTLP"),
            };
            fields.Add((WireFormat.GetTagFieldNumber(tag), value));
        }

        return fields;
    }
}
