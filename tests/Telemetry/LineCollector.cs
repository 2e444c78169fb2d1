using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace SnapshotFlow.Tests.Telemetry;

/// <summary>A line of log with the fields of the scopes around it.</summary>
public sealed record LogLine(string Message, IReadOnlyDictionary<string, string?> Fields);

/// <summary>Keeps every line of log.</summary>
internal sealed class LineCollector : ILoggerProvider, ISupportExternalScope
{
    private readonly ConcurrentQueue<LogLine> lines = new();
    private IExternalScopeProvider scopes = new LoggerExternalScopeProvider();

    public IReadOnlyCollection<LogLine> All => lines;

    public ILogger CreateLogger(string categoryName) => new Collecting(this);

    public void SetScopeProvider(IExternalScopeProvider scopeProvider) => scopes = scopeProvider;

    public void Dispose()
    {
    }

    private sealed class Collecting(LineCollector owner) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => owner.scopes.Push(state);

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var fields = new Dictionary<string, string?>();
            owner.scopes.ForEachScope(
                static (scope, all) =>
                {
                    foreach (var (name, value) in scope as IEnumerable<KeyValuePair<string, object>> ?? [])
                    {
                        all[name] = value?.ToString();
                    }
                },
                fields);
            owner.lines.Enqueue(new(formatter(state, exception), fields));
        }
    }
}
