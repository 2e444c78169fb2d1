using System.Globalization;
using YamlDotNet.Core;
using YamlDotNet.Serialization;
using YamlDotNet.Serialization.NamingConventions;

namespace SnapshotFlow.Stack;

/// <summary>Which Temporal answers in the development environment.</summary>
public enum TemporalChoice
{
    /// <summary>Ours.</summary>
    Embedded,

    /// <summary>The development server of the <c>temporal</c> command line.</summary>
    Cli,

    /// <summary><see cref="Cli"/> when it is on PATH, else <see cref="Embedded"/>.</summary>
    Auto,

    /// <summary>Only the one that <c>TEMPORAL_ADDRESS</c> names.</summary>
    Address,
}

/// <summary>Ports on 127.0.0.1; 0 takes a free one.</summary>
public sealed class PortSettings
{
    /// <summary>gRPC.</summary>
    public int Temporal { get; set; }

    /// <summary>HTTP.</summary>
    public int Api { get; set; }

    /// <summary>SQL.</summary>
    public int Postgres { get; set; }
}

/// <summary><c>temporal-dev.yaml</c>; the file itself says what each key means.</summary>
public sealed class TemporalDevSettings
{
    /// <summary>The file's name, at the root of the project and of a published directory.</summary>
    public const string FileName = "temporal-dev.yaml";

    /// <summary>Which server.</summary>
    public TemporalChoice Server { get; set; }

    /// <summary>Ports.</summary>
    public PortSettings Ports { get; set; } = new();

    /// <summary>Namespace.</summary>
    public string Namespace { get; set; } = "default";

    /// <summary>As written: a number with <c>h</c> or <c>d</c>.</summary>
    public string Retention { get; set; } = "72h";

    /// <summary>Name → type.</summary>
    public Dictionary<string, string> SearchAttributes { get; set; } = [];

    /// <summary>Role → name or pattern.</summary>
    public Dictionary<string, string> TaskQueues { get; set; } = [];

    /// <summary>Where the file was found.</summary>
    [YamlIgnore]
    public string Path { get; private set; } = "";

    /// <summary>How long a closed run's history is kept.</summary>
    [YamlIgnore]
    public TimeSpan RetentionPeriod => Retention is [.. var number, var unit] && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n > 0
        ? unit switch { 'h' => TimeSpan.FromHours(n), 'd' => TimeSpan.FromDays(n), _ => throw BadRetention() }
        : throw BadRetention();

    /// <summary>Reads the file of the project or published directory that this program belongs to.</summary>
    public static TemporalDevSettings Load()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            var path = System.IO.Path.Combine(directory.FullName, FileName);
            if (File.Exists(path))
            {
                return Load(path);
            }
        }
        throw new StackException($"no {FileName} in {AppContext.BaseDirectory} or above it");
    }

    /// <summary>Reads one file. A key that is not known, or a value that does not fit, is an error with its line.</summary>
    public static TemporalDevSettings Load(string path)
    {
        try
        {
            var settings = new DeserializerBuilder().WithNamingConvention(UnderscoredNamingConvention.Instance).Build()
                .Deserialize<TemporalDevSettings>(File.ReadAllText(path));
            settings.Path = path;
            _ = settings.RetentionPeriod;
            return settings;
        }
        catch (YamlException e)
        {
            throw new StackException($"{path}, line {e.Start.Line}: {e.InnerException?.Message ?? e.Message}", e);
        }
    }

    private StackException BadRetention() => new($"{Path}: retention: '{Retention}' is not a number of hours (72h) or days (3d)");
}
