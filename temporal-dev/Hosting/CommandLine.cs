using System.Globalization;
using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Schedules;
using SnapshotFlow.TemporalDev.Store.Postgres;
using YamlDotNet.Serialization;
using YamlDotNet.Serialization.NamingConventions;

namespace SnapshotFlow.TemporalDev.Hosting;

/// <summary>A mistake on the command line or in the configuration file. Its message is for the person who typed it.</summary>
public sealed class UsageException(string message) : Exception(message);

/// <summary>
/// The two command lines with which the SDK's test environment starts the official servers, and what a person may add.
/// Flags of the official servers that mean nothing here are accepted and ignored.
/// </summary>
public static class CommandLine
{
    public const string Help = """
        temporal-dev: a Temporal-compatible server for development and tests.

        temporal-dev server start-dev [flags]   developer server; time runs as usual
        temporal-dev PORT [flags]               test server: skips time when it is asked to

          --port PORT                 port to listen on (default 7233)
          --ip ADDRESS                address to listen on (default 127.0.0.1)
          --namespace NAME            create this namespace, too (repeatable); "default" always exists
          --search-attribute N=TYPE   register a search attribute (repeatable); TYPE is Text, Keyword, Int, Double,
                                      Bool, Datetime or KeywordList
          --retention DURATION        keep closed runs for this long, such as 72h or 3d (default 72h)
          --dynamic-config-value K=V  limit.historyCount.suggestContinueAsNew and limit.blobSize.error have an effect
          --db-connection STRING      keep everything in this PostgreSQL, 15 or newer, so that it survives the server: an Npgsql
                                      connection string such as "Host=localhost;Database=temporal;Username=me". Without it all
                                      is in memory. Also taken from the environment variable TEMPORAL_DEV_DB, where a
                                      password belongs. Developer server only
          --db-schema NAME            schema for the server's tables (default temporal_dev); one running server per schema
          --config FILE               read namespace, port, retention, search_attributes, db_connection and db_schema from a
                                      YAML file; flags and TEMPORAL_DEV_DB win
          --log-level LEVEL           debug, info, warn (default) or error
          --enable-time-skipping      test server: skip time from the start
          --help                      this text

        Other flags of `temporal server start-dev` are accepted and ignored.
        """;

    private const int DefaultPort = 7233;

    private const string DatabaseVariable = "TEMPORAL_DEV_DB";

    /// <summary>Flags without a value. Everything else that begins with two dashes takes the next argument.</summary>
    private static readonly HashSet<string> Switches = ["--headless", "--enable-time-skipping", "--help", "-h", "--log-config"];

    /// <returns>What to run, or null when only help was asked for.</returns>
    public static ServerOptions? Parse(IReadOnlyList<string> args)
    {
        if (args.Count == 0 || args.Contains("--help") || args.Contains("-h"))
        {
            return null;
        }

        if (args is ["server", "start-dev", ..])
        {
            return Read(args.Skip(2), new ServerOptions { Port = DefaultPort });
        }

        return int.TryParse(args[0], NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port <= ushort.MaxValue
            ? Read(args.Skip(1), new ServerOptions { Port = port, IsTestServer = true })
            : throw new UsageException($"'{args[0]}' is neither a port nor a command; try --help");
    }

    private static ServerOptions Read(IEnumerable<string> args, ServerOptions defaults)
    {
        var flags = Split(args).ToList();
        var options = flags.Where(f => f.Name == "--config").Aggregate(defaults, (current, flag) => ReadFile(current, flag.Value!));
        if (!options.IsTestServer && Environment.GetEnvironmentVariable(DatabaseVariable) is { Length: > 0 } connection)
        {
            options = options with { Database = Database(options, connection) };
        }

        return Check(flags.Aggregate(options, Apply));
    }

    private static ServerOptions Check(ServerOptions options)
    {
        if (options is { IsTestServer: true, Database: not null })
        {
            throw new UsageException("a test server keeps its data in memory: time that it has skipped could not go on after a restart. Use 'server start-dev' with --db-connection");
        }

        return options.Database is { ConnectionString.Length: 0 }
            ? throw new UsageException("--db-schema needs --db-connection or TEMPORAL_DEV_DB")
            : options;
    }

    private static PostgresStoreOptions Database(ServerOptions options, string? connection = null, string? schema = null) => new()
    {
        ConnectionString = connection ?? options.Database?.ConnectionString ?? "",
        Schema = schema ?? options.Database?.Schema ?? PostgresStoreOptions.DefaultSchema,
    };

    private static IEnumerable<(string Name, string? Value)> Split(IEnumerable<string> args)
    {
        using var rest = args.GetEnumerator();
        while (rest.MoveNext())
        {
            var arg = rest.Current;
            if (arg.StartsWith("--", StringComparison.Ordinal) && arg.Split('=', 2) is [var name, var value] && name is not "--search-attribute" and not "--dynamic-config-value")
            {
                yield return (name, value);
            }
            else if (Switches.Contains(arg) || !arg.StartsWith('-'))
            {
                yield return (arg, null);
            }
            else
            {
                yield return (arg, rest.MoveNext() ? rest.Current : throw new UsageException($"{arg} needs a value"));
            }
        }
    }

    private static ServerOptions Apply(ServerOptions options, (string Name, string? Value) flag) => flag.Name switch
    {
        "--port" or "-p" => options with { Port = Port(flag.Value!) },
        "--ip" => options with { Ip = flag.Value! },
        "--namespace" or "-n" => options with { Namespaces = [.. options.Namespaces, flag.Value!] },
        "--retention" => options with { Retention = Length(flag.Name, flag.Value!) },
        "--search-attribute" => options with { SearchAttributes = With(options.SearchAttributes, flag.Value!) },
        "--dynamic-config-value" => Configure(options, flag.Value!),
        "--log-level" => options with { LogLevel = Level(flag.Value!) },
        "--enable-time-skipping" => options with { StartUnlocked = true },
        "--db-connection" => options with { Database = Database(options, connection: flag.Value) },
        "--db-schema" => options with { Database = Database(options, schema: flag.Value) },
        "--db-filename" or "-f" => throw new UsageException(
            $"{flag.Name} {flag.Value}: this server keeps its data in PostgreSQL and not in a file; use --db-connection, or neither to keep it in memory"),
        _ => options,
    };

    private static int Port(string value) => int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port <= ushort.MaxValue
        ? port
        : throw new UsageException($"--port {value} is not a port number");

    private static LogLevel Level(string value) => value.ToLowerInvariant() switch
    {
        "debug" or "trace" => LogLevel.Debug,
        "info" => LogLevel.Information,
        "error" or "fatal" => LogLevel.Error,
        "never" or "none" => LogLevel.None,
        _ => LogLevel.Warning,
    };

    private static Dictionary<string, string> With(IReadOnlyDictionary<string, string> attributes, string pair) =>
        pair.Split('=', 2) is [{ Length: > 0 } name, { Length: > 0 } type]
            ? new Dictionary<string, string>(attributes) { [name] = type }
            : throw new UsageException($"--search-attribute {pair}: write Name=Type, for example ProjectId=Keyword");

    private static ServerOptions Configure(ServerOptions options, string pair)
    {
        if (pair.Split('=', 2) is not [var key, var value])
        {
            return options;
        }

        return key switch
        {
            "limit.historyCount.suggestContinueAsNew" => options with { Engine = options.Engine with { SuggestContinueAsNewAt = (int)Number(key, value) } },
            "limit.blobSize.error" => options with { Engine = options.Engine with { BlobSizeLimit = Number(key, value) } },
            _ => options,
        };
    }

    private static long Number(string key, string value) => long.TryParse(value.Trim('"'), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        ? number
        : throw new UsageException($"--dynamic-config-value {key}={value}: a whole number is needed");

    private static TimeSpan Length(string name, string value) => GoDuration.TryParse(value, out var length) && length > TimeSpan.Zero
        ? length
        : throw new UsageException($"{name} {value}: write a length such as 90m, 72h or 3d");

    private static ServerOptions ReadFile(ServerOptions options, string path)
    {
        ConfigFile file;
        try
        {
            var reader = new DeserializerBuilder().WithNamingConvention(UnderscoredNamingConvention.Instance).IgnoreUnmatchedProperties().Build();
            file = reader.Deserialize<ConfigFile?>(File.ReadAllText(path)) ?? new ConfigFile();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or YamlDotNet.Core.YamlException)
        {
            throw new UsageException($"--config {path}: {e.InnerException?.Message ?? e.Message}");
        }

        return options with
        {
            Port = options.IsTestServer ? options.Port : file.Port ?? options.Port,
            Namespaces = file.Namespace is null ? options.Namespaces : [.. options.Namespaces, file.Namespace],
            Retention = file.Retention is null ? options.Retention : Length($"{path}: retention", file.Retention),
            SearchAttributes = file.SearchAttributes ?? options.SearchAttributes,
            Database = options.IsTestServer || (file.DbConnection ?? file.DbSchema) is null ? options.Database : Database(options, file.DbConnection, file.DbSchema),
        };
    }

    private sealed class ConfigFile
    {
        public string? Namespace { get; set; }

        public int? Port { get; set; }

        public string? Retention { get; set; }

        public Dictionary<string, string>? SearchAttributes { get; set; }

        public string? DbConnection { get; set; }

        public string? DbSchema { get; set; }
    }
}
