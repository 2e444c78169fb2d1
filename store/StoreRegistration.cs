using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace SnapshotFlow.Store;

/// <summary>Wires the store into a host.</summary>
public static class StoreRegistration
{
    /// <summary>Adds every store class. A missing or unreadable <c>Store:ConnectionString</c> stops the host at its start, with the key's name.</summary>
    public static IServiceCollection AddStore(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<StoreOptions>().Bind(configuration.GetSection(StoreOptions.Section)).ValidateOnStart();
        services.AddSingleton<IValidateOptions<StoreOptions>, StoreValidation>();
        services.AddSingleton(provider => DataSource(provider.GetRequiredService<IOptions<StoreOptions>>().Value, provider.GetService<ILoggerFactory>()));
        return services
            .AddSingleton<Database>()
            .AddSingleton<ServerStore>()
            .AddSingleton<VolumeStore>()
            .AddSingleton<BackendStore>()
            .AddSingleton<SnapshotStore>()
            .AddSingleton<ImageStore>()
            .AddSingleton(provider => new QuotaStore(provider.GetRequiredService<Database>(), provider.GetRequiredService<IOptions<StoreOptions>>().Value.NoSnapshotGbQuota))
            .AddSingleton<InstanceActionStore>()
            .AddSingleton<RunStore>()
            .AddSingleton<IdempotencyStore>()
            .AddSingleton<NotificationStore>()
            .AddSingleton<OperationStore>()
            .AddSingleton<UserMessageStore>()
            .AddSingleton<FindingStore>()
            .AddSingleton<DevelopmentTokenStore>()
            .AddSingleton<InventoryStore>()
            .AddSingleton<ReconciliationStore>()
            .AddSingleton<StandingStore>()
            .AddSingleton<WorkStore>();
    }

    private static NpgsqlDataSource DataSource(StoreOptions options, ILoggerFactory? loggers)
    {
        var connection = new NpgsqlConnectionStringBuilder(options.ConnectionString) { CommandTimeout = (int)options.CommandTimeout.TotalSeconds };
        return new NpgsqlDataSourceBuilder(connection.ConnectionString).UseLoggerFactory(loggers).Build();
    }

    /// <summary>What is wrong with the section <c>Store</c>, key by key.</summary>
    private sealed class StoreValidation : IValidateOptions<StoreOptions>
    {
        public ValidateOptionsResult Validate(string? name, StoreOptions options)
        {
            string?[] failures =
            [
                ConnectionString(options.ConnectionString),
                options.CommandTimeout < TimeSpan.FromSeconds(1) || options.CommandTimeout > TimeSpan.FromMinutes(10) ? "Store:CommandTimeout must be between 1 second and 10 minutes." : null,
            ];
            return failures.OfType<string>().ToList() is [_, ..] wrong ? ValidateOptionsResult.Fail(wrong) : ValidateOptionsResult.Success;
        }

        private static string? ConnectionString(string text)
        {
            if (string.IsNullOrWhiteSpace(text))
            {
                return "Store:ConnectionString is missing: set the PostgreSQL connection string, for example "
                    + "Store__ConnectionString='Host=127.0.0.1;Database=snapshotflow;Username=snapshotflow'.";
            }

            try
            {
                return string.IsNullOrEmpty(new NpgsqlConnectionStringBuilder(text).Host) ? "Store:ConnectionString names no Host." : null;
            }
            catch (ArgumentException)
            {
                // The text of the exception may repeat part of the value, which may be the password.
                return "Store:ConnectionString is no PostgreSQL connection string: write Key=Value pairs separated by semicolons.";
            }
        }
    }
}
