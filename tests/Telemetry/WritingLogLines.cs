using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using SnapshotFlow.Telemetry;

namespace SnapshotFlow.Tests.Telemetry;

/// <summary>What a line of log looks like.</summary>
public sealed class WritingLogLines
{
    private readonly LoggerExternalScopeProvider scopes = new();

    [Fact]
    public void A_line_is_one_JSON_object_with_the_fields_of_the_message_in_snake_case()
    {
        var line = Write("Volume {VolumeId} cut, {SizeBytes} bytes in {Took}", "vol-1", 4096L, TimeSpan.FromMilliseconds(1500));

        Assert.Equal("vol-1", line.GetProperty("volume_id").GetString());
        Assert.Equal(4096, line.GetProperty("size_bytes").GetInt64());
        Assert.Equal(1.5, line.GetProperty("took").GetDouble());
        Assert.Equal("Volume vol-1 cut, 4096 bytes in 00:00:01.5000000", line.GetProperty("message").GetString());
        Assert.Equal("warning", line.GetProperty("level").GetString());
        Assert.Equal("Some.Category", line.GetProperty("logger").GetString());
        Assert.Equal(7, line.GetProperty("event").GetInt32());
        Assert.False(line.TryGetProperty("{OriginalFormat}", out _));
    }

    [Fact]
    public void The_fields_of_the_scopes_around_are_on_the_line_and_the_innermost_value_wins()
    {
        using var outer = scopes.Push(new Dictionary<string, object?> { ["request_id"] = "req-1", ["step"] = "outer" });
        using var inner = scopes.Push(new Dictionary<string, object?> { ["step"] = "inner" });

        var line = Write("nothing");

        Assert.Equal("req-1", line.GetProperty("request_id").GetString());
        Assert.Equal("inner", line.GetProperty("step").GetString());
    }

    [Fact]
    public void A_text_with_line_ends_and_an_exception_stay_on_one_line()
    {
        var text = Text("first\nsecond {Name}", new InvalidOperationException("broken\nin two"), "a\r\nb");

        Assert.Equal(text.Length - 1, text.IndexOf('\n', StringComparison.Ordinal));
        Assert.Contains("broken\nin two", JsonDocument.Parse(text).RootElement.GetProperty("error").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_field_cannot_replace_the_fields_that_every_line_has()
    {
        var line = Write("said {message} at {Time} {Level}", "other", "never", "none");

        Assert.Equal("said other at never none", line.GetProperty("message").GetString());
        Assert.Equal("2026-01-02T03:04:05.678Z", line.GetProperty("time").GetString());
        Assert.Equal("warning", line.GetProperty("level").GetString());
    }

    private JsonElement Write(string template, params object?[] values) => JsonDocument.Parse(Text(template, null, values)).RootElement;

    private string Text(string template, Exception? exception, params object?[] values)
    {
        var lines = new StringWriter();
        var logger = new Capturing(new JsonLines(new FixedTime()), scopes, lines);
#pragma warning disable CA2254 // The template is what the test is about.
        logger.Log(LogLevel.Warning, new EventId(7), exception, template, values);
#pragma warning restore CA2254
        return lines.ToString();
    }

    private sealed class FixedTime : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => new(2026, 1, 2, 3, 4, 5, 678, TimeSpan.Zero);
    }

    private sealed class Capturing(JsonLines formatter, IExternalScopeProvider scopes, TextWriter lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => scopes.Push(state);

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter1) =>
            formatter.Write(new LogEntry<TState>(logLevel, "Some.Category", eventId, state, exception, formatter1), scopes, lines);
    }
}
